#include "apis/chat/provider_answer.hpp"

#include "runtime/json/object.hpp"

#include <utility>

namespace skep::actors {

tl::unexpected<failure> no_answer(std::string detail) {
  return tl::make_unexpected(failure{errc::provider_failed, std::move(detail)});
}

tl::expected<void, failure> check_head(std::string_view id, std::string_view model) {
  if (id.size() <= answer_name_bytes_max && model.size() <= answer_name_bytes_max)
    return {};
  return no_answer("the provider's answer has an id or a model of more than "
                   + std::to_string(answer_name_bytes_max) + " bytes");
}

std::uint64_t total_of(const msg::token_usage& usage) {
  const auto counted = usage.rest.empty() ? 0 : json::object{usage.rest}.count("total_tokens");
  return counted > 0 ? counted : usage.prompt + usage.completion;
}

} // namespace skep::actors
