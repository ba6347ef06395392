#include "runtime/base/caf_error.hpp"

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>
#include <caf/to_string.hpp>

namespace skep {

namespace {

constexpr auto our_category = caf::atom("skep");

errc errc_of(caf::sec code) {
  switch (code) {
    case caf::sec::request_timeout: return errc::deadline_exceeded;
    case caf::sec::unexpected_message: return errc::unexpected_message;
    case caf::sec::request_receiver_down: return errc::unavailable;
    default: return errc::actor_failed;
  }
}

} // namespace

caf::error to_caf_error(const failure& why) {
  const auto retry_ms = static_cast<std::uint32_t>(why.retry_after.count());
  return caf::make_error(why.code, why.detail, retry_ms, why.provider, why.status, why.tries,
                         why.param, why.provider_type, why.provider_code,
                         static_cast<std::uint32_t>(why.provider_api), why.provider_body);
}

failure from_caf_error(const caf::error& why) {
  failure result;
  if (why.category() == our_category) {
    result.code = errc_from(why.code()).value_or(errc::actor_failed);
    const auto& context = why.context();
    if (context
          .match_elements<std::string, std::uint32_t, std::string, std::uint32_t, std::uint32_t,
                          std::string, std::string, std::string, std::uint32_t, std::string>()) {
      result.detail = context.get_as<std::string>(0);
      result.retry_after = std::chrono::milliseconds{context.get_as<std::uint32_t>(1)};
      result.provider = context.get_as<std::string>(2);
      result.status = context.get_as<std::uint32_t>(3);
      result.tries = context.get_as<std::uint32_t>(4);
      result.param = context.get_as<std::string>(5);
      result.provider_type = context.get_as<std::string>(6);
      result.provider_code = context.get_as<std::string>(7);
      result.provider_api = static_cast<msg::native_api>(context.get_as<std::uint32_t>(8));
      result.provider_body = context.get_as<std::string>(9);
    }
    return result;
  }
  if (why.category() == caf::atom("system"))
    return failure{errc_of(static_cast<caf::sec>(why.code())), to_string(why)};
  if (why.category() == caf::atom("exit"))
    return failure{errc::unavailable, to_string(why)};
  return failure{errc::actor_failed, to_string(why)};
}

} // namespace skep
