#include "runtime/net/link_outbox.hpp"

#include "runtime/net/link_frame.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

namespace skep::net {

namespace {

constexpr auto retry_after = std::chrono::milliseconds{20};
// Messages above this are copied before the lock is taken, so that nobody spins for that long.
constexpr std::size_t small_bytes_max = std::size_t{32} << 10;
// What a block may reserve ahead: just below malloc's threshold for its own mapping.
constexpr std::size_t reserve_max = std::size_t{120} << 10;

void append_record(std::string& out, std::string_view front, std::string_view back, bool more) {
  const auto head = encode_record_head(front.size() + back.size(), more);
  out.append(head.data(), head.size());
  out.append(front);
  out.append(back);
}

/// The next `bytes` of the two pieces, as two pieces; they are cut off.
std::pair<std::string_view, std::string_view> cut(std::string_view& front, std::string_view& back,
                                                  std::size_t bytes) {
  const auto first = front.substr(0, bytes);
  front.remove_prefix(first.size());
  const auto second = back.substr(0, bytes - first.size());
  back.remove_prefix(second.size());
  return {first, second};
}

} // namespace

link_outbox::link_outbox(std::string peer, bounds limits, std::function<void()> wake)
  : peer_(std::move(peer)), limits_(limits), wake_(std::move(wake)) {}

expected<void> link_outbox::push(std::string_view bytes) {
  return push(bytes, {}, lane::normal);
}

expected<void> link_outbox::push(std::string_view front, std::string_view back, lane which) {
  const auto bytes = front.size() + back.size();
  if (bytes > limits_.message_bytes_max)
    return fail(errc::too_large, "link: a message of " + std::to_string(bytes) + " bytes to node "
                                   + peer_ + ", at most "
                                   + std::to_string(limits_.message_bytes_max));
  return bytes <= small_bytes_max ? push_small(front, back, which) : push_large(front, back, which);
}

expected<void> link_outbox::push_small(std::string_view front, std::string_view back, lane which) {
  const auto bytes = front.size() + back.size() + record_head_bytes;
  bool was_empty = false;
  errc why = errc::none;
  {
    const std::lock_guard guard{lock_};
    why = obstacle(bytes, which);
    if (why == errc::none) {
      was_empty = blocks_.empty();
      if (was_empty || blocks_.back().bytes.size() + bytes > limits_.block_bytes) {
        blocks_.emplace_back();
        blocks_.back().bytes.reserve(std::max(
          bytes, was_empty ? expected_bytes_ : std::min(limits_.block_bytes, reserve_max)));
      }
      append_record(blocks_.back().bytes, front, back, false);
      ++blocks_.back().messages;
      count(bytes);
    }
  }
  if (why != errc::none)
    return refuse(why);
  if (was_empty)
    wake_();
  return {};
}

expected<void> link_outbox::push_large(std::string_view front, std::string_view back, lane which) {
  // Cheap look first: a full queue should not cost a copy.
  if (queued_messages() != 0 && over_bounds(front.size() + back.size(), which))
    return refuse(errc::overloaded);
  std::vector<block> made;
  std::size_t bytes = 0;
  do {
    const auto [first, second] = cut(front, back, fragment_bytes);
    const bool more = !front.empty() || !back.empty();
    auto& next = made.emplace_back();
    next.bytes.reserve(record_head_bytes + first.size() + second.size());
    append_record(next.bytes, first, second, more);
    next.messages = more ? 0 : 1;
    bytes += next.bytes.size();
  } while (!front.empty() || !back.empty());
  bool was_empty = false;
  errc why = errc::none;
  {
    const std::lock_guard guard{lock_};
    why = obstacle(bytes, which);
    if (why == errc::none) {
      was_empty = blocks_.empty();
      std::move(made.begin(), made.end(), std::back_inserter(blocks_));
      count(bytes);
    }
  }
  if (why != errc::none)
    return refuse(why);
  if (was_empty)
    wake_();
  return {};
}

errc link_outbox::obstacle(std::size_t bytes, lane which) const {
  if (closed_)
    return errc::node_down;
  // An empty queue takes any one message, so that the bound never forbids a size for ever.
  return !blocks_.empty() && over_bounds(bytes, which) ? errc::overloaded : errc::none;
}

bool link_outbox::over_bounds(std::size_t bytes, lane which) const {
  const std::size_t share = which == lane::reserve ? 2 : 1;
  return queued_messages() >= share * limits_.messages_max
         || queued_bytes() + bytes > share * limits_.bytes_max;
}

expected<void> link_outbox::refuse(errc why) {
  if (why == errc::node_down)
    return fail(why, "link: the session with node " + peer_ + " has ended");
  refused_.fetch_add(1, std::memory_order_relaxed);
  return fail(why, "link: the queue to node " + peer_ + " is full", retry_after);
}

// Only ever called under the lock, so a load and a store do.
void link_outbox::count(std::size_t bytes) {
  bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  messages_.store(messages_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

std::string link_outbox::take(std::size_t bytes_max, std::uint64_t& messages) {
  block taken;
  {
    const std::lock_guard guard{lock_};
    if (blocks_.empty() || blocks_.front().bytes.size() > bytes_max)
      return {};
    taken = std::move(blocks_.front());
    blocks_.pop_front();
    expected_bytes_ = std::min(taken.bytes.size(), reserve_max);
    bytes_.store(bytes_.load(std::memory_order_relaxed) - taken.bytes.size(),
                 std::memory_order_relaxed);
    messages_.store(messages_.load(std::memory_order_relaxed) - taken.messages,
                    std::memory_order_relaxed);
  }
  messages = taken.messages;
  return std::move(taken.bytes);
}

std::uint64_t link_outbox::close() {
  std::deque<block> dropped;
  std::uint64_t messages = 0;
  {
    const std::lock_guard guard{lock_};
    closed_ = true;
    dropped.swap(blocks_);
    messages = messages_.load(std::memory_order_relaxed);
    messages_.store(0, std::memory_order_relaxed);
    bytes_.store(0, std::memory_order_relaxed);
  }
  return messages;
}

} // namespace skep::net
