#include "actors/flight/kept.hpp"

#include "messages/context.hpp"

namespace skep::actors {

static_assert(tenant_bytes_max < 256, "one byte holds its length");

std::string begin_kept(std::string_view tenant) {
  const auto name = tenant.substr(0, tenant_bytes_max);
  std::string value(1, static_cast<char>(name.size()));
  value += name;
  return value;
}

std::optional<std::string_view> kept_for(std::string_view tenant, std::string_view value) {
  const auto mark = begin_kept(tenant);
  if (!value.starts_with(mark))
    return std::nullopt;
  return value.substr(mark.size());
}

} // namespace skep::actors
