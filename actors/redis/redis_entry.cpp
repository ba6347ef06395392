#include "actors/redis/redis_entry.hpp"

#include "messages/cache_record.hpp"
#include "messages/codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

/// Longer than any ttl a configuration allows (30 days): what says more is not ours.
constexpr milliseconds ttl_max{std::chrono::hours{24} * 366};

std::int64_t unix_ms(wall_clock::time_point at) {
  return std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count();
}

std::uint32_t whole_seconds(milliseconds d) {
  return static_cast<std::uint32_t>(std::chrono::floor<std::chrono::seconds>(d).count());
}

} // namespace

std::string redis_keys::of(std::uint64_t group, const msg::cache_key& key) const {
  return fmt::format("{}{:016x}:{:016x}{:016x}", root_, group, key.high, key.low);
}

std::string redis_keys::pattern_of(const msg::cache_clear_request& request) const {
  if (request.all)
    return root_ + "*";
  if (request.group != 0)
    return fmt::format("{}{:016x}:*", root_, request.group);
  return fmt::format("{}*:{:016x}{:016x}", root_, request.key.high, request.key.low);
}

bool redis_keys::ours(std::string_view key) const {
  return key.starts_with(root_);
}

std::string pack_entry(const store::value_codec& codec, const msg::cache_put_request& put,
                       milliseconds ttl, wall_clock::time_point now) {
  msg::cache_record record;
  record.value = codec.pack(put.value);
  record.stored_unix_ms = unix_ms(now);
  record.ttl_ms = static_cast<std::uint64_t>(ttl.count());
  record.group = put.group;
  record.kind = put.kind;
  record.cost = put.cost;
  std::string bytes;
  encode(record, bytes);
  return bytes;
}

expected<std::optional<msg::cache_get_reply>>
unpack_entry(const store::value_codec& codec, std::string_view bytes,
             std::optional<milliseconds> left, wall_clock::time_point now, std::size_t value_max) {
  decode_limits limits;
  limits.bytes_max = value_max + 256; // The record around the value.
  auto record = decode<msg::cache_record>(bytes, limits);
  if (!record)
    return fail(record.error());
  if (record->ttl_ms == 0 || record->ttl_ms > static_cast<std::uint64_t>(ttl_max.count()))
    return fail(errc::malformed, fmt::format("a ttl of {} ms cannot be", record->ttl_ms));
  const milliseconds ttl{static_cast<std::int64_t>(record->ttl_ms)};
  // Clamped first, so that no stored number can overflow: no older than ttl_max matters.
  const auto at = unix_ms(now);
  const auto stored = std::clamp(record->stored_unix_ms, at - ttl_max.count() - 1, at);
  // The writer's clock may be wrong: whoever says "older" is believed.
  auto age = milliseconds{at - stored};
  if (left)
    age = std::max(age, ttl - *left);
  const auto fresh = left ? std::min(*left, ttl - age) : ttl - age;
  if (fresh <= milliseconds::zero())
    return std::nullopt;
  auto value = codec.unpack(record->value, value_max);
  if (!value)
    return fail(std::move(value.error()));
  msg::cache_get_reply reply;
  reply.value = std::move(*value);
  reply.age_s = whole_seconds(age);
  reply.ttl_s = whole_seconds(fresh);
  reply.kind = record->kind;
  reply.group = record->group;
  reply.cost = record->cost;
  return reply;
}

} // namespace skep::actors
