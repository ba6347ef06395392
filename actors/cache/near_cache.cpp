#include "actors/cache/near_cache.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace skep::actors {

namespace {

using std::chrono::seconds;

// The value is preceded by the end of its own freshness, in ticks of the clock: the store's own end
// is the near-cache's.
using ticks = duration::rep;
constexpr std::size_t head_bytes = sizeof(ticks);

store::store_config store_of(const near_cache_config& from) {
  store::store_config config;
  config.bytes_max = from.bytes_max;
  config.value_bytes_max = from.bytes_max;
  return config;
}

std::uint32_t in_seconds(duration d) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<seconds>(d).count());
}

} // namespace

near_cache::near_cache(near_cache_config config, time_point now)
  : config_(config), store_(store_of(config), now) {}

void near_cache::put(const msg::cache_key& key, const msg::cache_get_reply& answer,
                     time_point now) {
  if (!answer.found || answer.stale
      || answer.turn != static_cast<std::uint8_t>(msg::cache_turn::none))
    return;
  const auto own = now + seconds{answer.ttl_s};
  const auto keep = std::min<duration>(config_.ttl, own - now);
  if (config_.bytes_max == 0 || keep <= duration::zero())
    return;
  std::string held(head_bytes + answer.value.size(), '\0');
  const ticks end = own.time_since_epoch().count();
  std::memcpy(held.data(), &end, head_bytes);
  answer.value.copy(held.data() + head_bytes, answer.value.size());
  store_.put({key.high, key.low}, std::move(held),
             {keep, seconds{answer.age_s}, answer.group, answer.kind, answer.cost}, now);
}

std::optional<msg::cache_get_reply> near_cache::get(const msg::cache_get_request& request,
                                                    time_point now) {
  if (config_.bytes_max == 0)
    return std::nullopt;
  // The owner told whole seconds, so the answer may be up to one second older than known here.
  const seconds age_max{request.age_max_s};
  const auto bound = request.age_max_s == 0 ? duration{} : std::max<duration>(1ns, age_max - 1s);
  const auto found = store_.get({request.key.high, request.key.low}, now, bound);
  if (!found)
    return std::nullopt;
  ticks end = 0;
  std::memcpy(&end, found->value->data(), head_bytes);
  msg::cache_get_reply answer;
  answer.value.assign(*found->value, head_bytes, std::string::npos);
  answer.age_s = in_seconds(found->age);
  answer.ttl_s = in_seconds(time_point{duration{end}} - now);
  answer.kind = found->kind;
  answer.group = found->group;
  answer.cost = found->cost;
  return answer;
}

void near_cache::erase(const msg::cache_key& key) {
  store_.erase({key.high, key.low});
}

void near_cache::clear() {
  store_.clear();
}

void near_cache::expire(time_point now) {
  store_.expire(now);
}

} // namespace skep::actors
