#include "actors/common/context_cache.hpp"

#include "actors/common/json_members.hpp"
#include "runtime/base/assert.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <list>
#include <unordered_map>

// The streaming state on the stack instead of the heap.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace skep::actors {

namespace {

// Members that do not change what a model answers.
constexpr std::array irrelevant_parameters = std::to_array<std::string_view>(
  {"user", "metadata", "store", "service_tier", "stream_options", "safety_identifier",
   "prompt_cache_key", "prompt_cache_retention"});

// List node, map node and bucket of an entry, each with its allocation.
constexpr std::size_t entry_overhead = 160;

msg::cache_key key_from(XXH128_hash_t hash) {
  return {hash.high64, hash.low64};
}

msg::cache_key hash_of(std::string_view text) {
  return key_from(XXH3_128bits(text.data(), text.size()));
}

/// Feeds length and bytes, so that no two different lists of fields look alike.
class field_hasher {
public:
  explicit field_hasher(std::uint64_t seed = 0) {
    XXH3_128bits_reset_withSeed(&state_, seed);
  }
  void add(std::string_view field) {
    const std::uint64_t size = field.size();
    XXH3_128bits_update(&state_, &size, sizeof(size));
    XXH3_128bits_update(&state_, field.data(), field.size());
  }
  void add(const msg::cache_key& key) {
    const std::array halves{key.high, key.low};
    XXH3_128bits_update(&state_, halves.data(), sizeof(halves));
  }
  msg::cache_key done() const {
    return key_from(XXH3_128bits_digest(&state_));
  }

private:
  XXH3_state_t state_;
};

/// Without spacing, members sorted; text that is no JSON stays as it is.
msg::cache_key canonical_hash(std::string_view text) {
  const auto read = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (read.is_discarded())
    return hash_of(text);
  return hash_of(read.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

bool is_zero(std::string_view number) {
  double value = 1;
  const auto* const end = number.data() + number.size();
  const auto read = std::from_chars(number.data(), end, value);
  return read.ec == std::errc{} && read.ptr == end && value == 0;
}

struct key_hash {
  std::size_t operator()(const msg::cache_key& key) const noexcept {
    return static_cast<std::size_t>(key.low);
  }
};

} // namespace

bool is_relevant(std::string_view parameter) {
  return std::find(irrelevant_parameters.begin(), irrelevant_parameters.end(), parameter)
         == irrelevant_parameters.end();
}

struct context_cache::impl {
  struct entry {
    msg::cache_key inputs;
    assembled_context value;
    time_point used{};

    std::size_t bytes() const {
      return entry_overhead + value.parameters.capacity();
    }
  };
  using entries = std::list<entry>;

  explicit impl(context_cache_config c) : config(c) {}

  const assembled_context* find(const msg::cache_key& inputs, time_point now);
  const assembled_context& keep(const msg::cache_key& inputs, assembled_context value,
                                time_point now);
  void drop_last();
  msg::cache_key value_identity(std::string_view value, time_point now);
  assembled_context assemble(const context_inputs& inputs, time_point now);

  context_cache_config config;
  counters stats;
  std::size_t bytes = 0;
  entries by_use; // The most recently used first.
  std::unordered_map<msg::cache_key, entries::iterator, key_hash> index;
  assembled_context too_large; // The last one that was not kept.
};

const assembled_context* context_cache::impl::find(const msg::cache_key& inputs, time_point now) {
  while (!by_use.empty() && by_use.back().used + config.idle_ttl <= now) {
    drop_last();
    ++stats.expired;
  }
  const auto found = index.find(inputs);
  if (found == index.end())
    return nullptr;
  by_use.splice(by_use.begin(), by_use, found->second);
  found->second->used = now;
  return &found->second->value;
}

const assembled_context& context_cache::impl::keep(const msg::cache_key& inputs,
                                                   assembled_context value, time_point now) {
  value.parameters.shrink_to_fit();
  entry made{inputs, std::move(value), now};
  const auto size = made.bytes();
  if (size > config.bytes_max || config.entries_max == 0) {
    too_large = std::move(made.value);
    return too_large;
  }
  while (by_use.size() >= config.entries_max || bytes + size > config.bytes_max) {
    drop_last();
    ++stats.evicted;
  }
  by_use.push_front(std::move(made));
  index.emplace(inputs, by_use.begin());
  bytes += size;
  return by_use.front().value;
}

void context_cache::impl::drop_last() {
  SKEP_ASSERT(!by_use.empty());
  bytes -= by_use.back().bytes();
  index.erase(by_use.back().inputs);
  by_use.pop_back();
}

/// Large values are worth an entry of their own: 16 bytes instead of reading them.
msg::cache_key context_cache::impl::value_identity(std::string_view value, time_point now) {
  if (value.size() < config.value_min)
    return canonical_hash(value);
  field_hasher inputs{config.seed};
  inputs.add(value);
  const auto key = inputs.done();
  if (const auto* known = find(key, now))
    return known->identity;
  return keep(key, {{}, canonical_hash(value)}, now).identity;
}

/// Two names of the answer's bound; a provider may refuse both at once.
bool same_meaning(std::string_view a, std::string_view b) {
  const auto bounds
    = [](std::string_view name) { return name == "max_tokens" || name == "max_completion_tokens"; };
  return a == b || (bounds(a) && bounds(b));
}

assembled_context context_cache::impl::assemble(const context_inputs& inputs, time_point now) {
  auto members = members_of(inputs.own).value_or(std::vector<json_member>{});
  const auto own = members.size();
  for (auto& each : members_of(inputs.defaults).value_or(std::vector<json_member>{}))
    if (std::none_of(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(own),
                     [&](const json_member& mine) { return same_meaning(mine.name, each.name); }))
      members.push_back(std::move(each));
  assembled_context made;
  made.parameters = object_of(members);
  made.deterministic = std::any_of(members.begin(), members.end(), [](const json_member& each) {
    return each.name == "temperature" && is_zero(each.value);
  });
  std::erase_if(members, [](const json_member& each) { return !is_relevant(each.name); });
  if (members.empty())
    return made;
  std::sort(members.begin(), members.end(),
            [](const json_member& a, const json_member& b) { return a.name < b.name; });
  field_hasher identity;
  for (const auto& each : members) {
    identity.add(each.name);
    identity.add(value_identity(each.value, now));
  }
  made.identity = identity.done();
  return made;
}

context_cache::context_cache(context_cache_config config) : impl_(std::make_unique<impl>(config)) {}

context_cache::context_cache(context_cache&&) noexcept = default;

context_cache::~context_cache() = default;

const assembled_context& context_cache::assemble(const context_inputs& inputs, time_point now) {
  field_hasher hash{impl_->config.seed};
  hash.add(inputs.defaults);
  hash.add(inputs.own);
  const auto key = hash.done();
  if (const auto* known = impl_->find(key, now)) {
    ++impl_->stats.hits;
    return *known;
  }
  ++impl_->stats.misses;
  return impl_->keep(key, impl_->assemble(inputs, now), now);
}

msg::cache_key context_cache::identity_of(std::string_view json, time_point now) {
  return json.empty() ? msg::cache_key{} : impl_->value_identity(json, now);
}

const context_cache::counters& context_cache::stats() const {
  return impl_->stats;
}

std::size_t context_cache::entries() const {
  return impl_->by_use.size();
}

std::size_t context_cache::bytes() const {
  return impl_->bytes;
}

} // namespace skep::actors
