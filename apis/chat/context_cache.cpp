#include "apis/chat/context_cache.hpp"

#include "runtime/json/canonical.hpp"
#include "runtime/json/members.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <list>
#include <random>
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

/// Where a context of these inputs lies, if there is one: fast, and nothing that could be relied
/// on. What lies there is compared with the inputs themselves.
msg::cache_key place_of(const context_inputs& inputs, std::uint64_t seed) {
  XXH3_state_t state;
  XXH3_128bits_reset_withSeed(&state, seed);
  for (const auto field : {inputs.defaults, inputs.own}) {
    const std::uint64_t size = field.size();
    XXH3_128bits_update(&state, &size, sizeof(size));
    XXH3_128bits_update(&state, field.data(), field.size());
  }
  const auto hash = XXH3_128bits_digest(&state);
  return {hash.high64, hash.low64};
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
    msg::cache_key place;
    assembled_context value;
    time_point used{};
    // Of a context: what it was made from. A value is at the place of its keyed hash.
    std::string defaults;
    std::string own;

    std::size_t bytes() const {
      return entry_overhead + value.parameters.capacity() + defaults.capacity() + own.capacity();
    }
  };
  using entries = std::list<entry>;

  explicit impl(context_cache_config c) : config(std::move(c)) {}

  const entry* find(const msg::cache_key& place, time_point now);
  const assembled_context& keep(entry made);
  void drop(entries::iterator which);
  msg::cache_key canonical_hash(std::string_view value) const;
  msg::cache_key value_identity(std::string_view value, time_point now);
  assembled_context assemble(const context_inputs& inputs, time_point now);

  context_cache_config config;
  const std::uint64_t seed = std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  counters stats;
  std::size_t bytes = 0;
  entries by_use; // The most recently used first.
  std::unordered_map<msg::cache_key, entries::iterator, key_hash> index;
  assembled_context too_large; // The last one that was not kept.
};

const context_cache::impl::entry* context_cache::impl::find(const msg::cache_key& place,
                                                            time_point now) {
  while (!by_use.empty() && by_use.back().used + config.idle_ttl <= now) {
    drop(std::prev(by_use.end()));
    ++stats.expired;
  }
  const auto found = index.find(place);
  if (found == index.end())
    return nullptr;
  by_use.splice(by_use.begin(), by_use, found->second);
  found->second->used = now;
  return &*found->second;
}

const assembled_context& context_cache::impl::keep(entry made) {
  made.value.parameters.shrink_to_fit();
  const auto size = made.bytes();
  if (size > config.bytes_max || config.entries_max == 0) {
    too_large = std::move(made.value);
    return too_large;
  }
  if (const auto other = index.find(made.place); other != index.end())
    drop(other->second);
  while (by_use.size() >= config.entries_max || bytes + size > config.bytes_max) {
    drop(std::prev(by_use.end()));
    ++stats.evicted;
  }
  by_use.push_front(std::move(made));
  index.emplace(by_use.front().place, by_use.begin());
  bytes += by_use.front().bytes();
  return by_use.front().value;
}

void context_cache::impl::drop(entries::iterator which) {
  bytes -= which->bytes();
  index.erase(which->place);
  by_use.erase(which);
}

/// Of its canonical form; of text that is no JSON, of its bytes.
msg::cache_key context_cache::impl::canonical_hash(std::string_view value) const {
  const auto form = json::canonical_form(value);
  identity_hasher hash{config.secret};
  hash.add(form ? "json" : "text");
  hash.add(form ? std::string_view{*form} : value);
  return hash.done();
}

/// Large values are worth an entry of their own: 16 bytes instead of reading them.
msg::cache_key context_cache::impl::value_identity(std::string_view value, time_point now) {
  if (value.size() < config.value_min)
    return canonical_hash(value);
  identity_hasher bytes_of_value{config.secret};
  bytes_of_value.add("value");
  bytes_of_value.add(value);
  const auto place = bytes_of_value.done();
  if (const auto* known = find(place, now))
    return known->value.identity;
  return keep({place, {{}, canonical_hash(value)}, now, {}, {}}).identity;
}

/// Two names of the answer's bound; a provider may refuse both at once.
std::string_view meaning_of(std::string_view name) {
  return name == "max_tokens" ? "max_completion_tokens" : name;
}

assembled_context context_cache::impl::assemble(const context_inputs& inputs, time_point now) {
  auto members = json::members_of(inputs.own).value_or(std::vector<json::member>{});
  std::vector<std::string> own;
  own.reserve(members.size());
  for (const auto& each : members)
    own.emplace_back(meaning_of(each.name));
  std::sort(own.begin(), own.end());
  for (auto& each : json::members_of(inputs.defaults).value_or(std::vector<json::member>{}))
    if (!std::binary_search(own.begin(), own.end(), meaning_of(each.name)))
      members.push_back(std::move(each));
  assembled_context made;
  made.parameters = json::object_of(members);
  made.deterministic = std::any_of(members.begin(), members.end(), [](const json::member& each) {
    return each.name == "temperature" && is_zero(each.value);
  });
  std::erase_if(members, [](const json::member& each) { return !is_relevant(each.name); });
  if (members.empty())
    return made;
  std::sort(members.begin(), members.end(),
            [](const json::member& a, const json::member& b) { return a.name < b.name; });
  identity_hasher identity{config.secret};
  for (const auto& each : members) {
    identity.add(each.name);
    identity.add(value_identity(each.value, now));
  }
  made.identity = identity.done();
  return made;
}

context_cache::context_cache(context_cache_config config)
  : impl_(std::make_unique<impl>(std::move(config))) {}

context_cache::context_cache(context_cache&&) noexcept = default;

context_cache::~context_cache() = default;

const assembled_context& context_cache::assemble(const context_inputs& inputs, time_point now) {
  const auto place = place_of(inputs, impl_->seed);
  const auto* known = impl_->find(place, now);
  if (known != nullptr && known->defaults == inputs.defaults && known->own == inputs.own) {
    ++impl_->stats.hits;
    return known->value;
  }
  ++impl_->stats.misses;
  auto made = impl_->assemble(inputs, now);
  return impl_->keep(
    {place, std::move(made), now, std::string{inputs.defaults}, std::string{inputs.own}});
}

msg::cache_key context_cache::identity_of(std::string_view json, time_point now) {
  return json.empty() ? msg::cache_key{} : impl_->value_identity(json, now);
}

const identity_secret& context_cache::secret() const {
  return impl_->config.secret;
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
