#include "actors/gateway/origin_headers.hpp"

#include <string>

namespace skep::actors {

namespace {

/// Thousandths as a decimal fraction: 971 is 0.971.
std::string similarity_text(std::uint32_t thousandths) {
  auto digits = std::to_string(thousandths % 1000);
  digits.insert(0, 3 - digits.size(), '0');
  return std::to_string(thousandths / 1000) + "." + digits;
}

} // namespace

void add_origin_headers(net::http_headers& headers, const msg::answer_origin& origin) {
  switch (static_cast<msg::cache_status>(origin.cache)) {
    case msg::cache_status::hit:
      headers.add("cache-status", "skep; hit; ttl=" + std::to_string(origin.cache_ttl_s));
      headers.add("x-skep-cache", "HIT");
      break;
    case msg::cache_status::miss:
      headers.add("cache-status", "skep; fwd=miss");
      headers.add("x-skep-cache", "MISS");
      break;
    case msg::cache_status::bypass:
      headers.add("cache-status", "skep; fwd=bypass");
      headers.add("x-skep-cache", "BYPASS");
      break;
    case msg::cache_status::shared:
      headers.add("cache-status", "skep; fwd=miss; collapsed");
      headers.add("x-skep-cache", "SHARED");
      break;
    case msg::cache_status::stale:
      headers.add("cache-status", "skep; hit; ttl=0");
      headers.add("x-skep-cache", "STALE");
      break;
    case msg::cache_status::semantic:
      headers.add("cache-status", "skep; hit; detail=semantic");
      headers.add("x-skep-cache", "SEMANTIC");
      headers.add("x-skep-cache-similarity", similarity_text(origin.similarity));
      break;
    case msg::cache_status::none: break;
  }
  if (!origin.cache_key.empty())
    headers.add("x-skep-cache-key", origin.cache_key);
  if (!origin.provider.empty())
    headers.add("x-skep-provider", origin.provider);
  headers.add("x-skep-attempts", std::to_string(origin.attempts));
  for (const auto& limit : origin.limits)
    headers.add(limit.name, limit.value);
}

} // namespace skep::actors
