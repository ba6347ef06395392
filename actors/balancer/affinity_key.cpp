#include "actors/balancer/affinity_key.hpp"

#include <algorithm>
#include <string_view>

// The streaming state on the stack instead of the heap.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace skep::actors {

namespace {

/// Hashes fields, each with its length, so that no two lists of them look alike.
class prefix_hasher {
public:
  explicit prefix_hasher(std::size_t bytes_max) noexcept : left_(bytes_max) {
    XXH3_64bits_reset(&state_);
  }
  /// A field that is cut where the prefix ends.
  void add(std::string_view field) noexcept {
    add_whole(field.substr(0, left_));
    left_ -= std::min(left_, field.size());
  }
  void add_whole(std::string_view field) noexcept {
    const std::uint64_t size = field.size();
    XXH3_64bits_update(&state_, &size, sizeof(size));
    XXH3_64bits_update(&state_, field.data(), field.size());
  }
  bool full() const noexcept {
    return left_ == 0;
  }
  std::uint64_t done() const noexcept {
    return XXH3_64bits_digest(&state_);
  }

private:
  XXH3_state_t state_;
  std::size_t left_;
};

} // namespace

std::uint64_t prefix_key(const msg::chat_request& request, std::size_t bytes_max) noexcept {
  prefix_hasher hash{bytes_max};
  hash.add_whole(request.model);
  for (const auto& message : request.messages) {
    if (hash.full())
      break;
    hash.add_whole(message.role);
    hash.add(message.content);
    hash.add(message.rest);
    for (const auto& call : message.tool_calls)
      for (const auto* field : {&call.id, &call.type, &call.name, &call.arguments, &call.extra})
        hash.add(*field);
    if (message.role == "user")
      break;
  }
  return hash.done();
}

} // namespace skep::actors
