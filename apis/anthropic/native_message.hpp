#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Anthropic's message as one object and as the events of a stream: the same answer in two forms, of
// which an answer that is passed on as it came has one and its next client may want the other.
namespace skep::actors {

/// Puts the events of a stream together to the message they amount to, as Anthropic's own clients
/// do. Members and deltas of kinds that skep does not know are kept. Pure; not thread-safe.
class message_builder {
public:
  /// Frames of events, or the whole message.
  void add(std::string_view text);
  /// The message so far; nothing when it has no beginning.
  std::optional<std::string> message() const;
  /// Memory of what was collected, about.
  std::size_t bytes() const {
    return bytes_;
  }

private:
  struct block {
    std::string start;
    /// What deltas added, by the member of the block.
    std::map<std::string, std::string, std::less<>> texts;
    std::vector<std::string> citations;
  };

  void add_event(std::string_view data);
  void add_delta(block& to, std::string_view delta);
  void finish(std::string_view data);
  static std::string whole(const block& from);

  std::string message_;
  std::map<std::uint64_t, block> blocks_;
  std::size_t bytes_ = 0;
};

/// The events that this message would have been streamed as: each block's text in one piece.
std::string message_events(std::string_view message);

/// The frames with this id in their message_start; everything else as it is.
std::string with_message_id(std::string_view frames, std::string_view id);

} // namespace skep::actors
