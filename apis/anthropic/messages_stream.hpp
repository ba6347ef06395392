#pragma once

#include "apis/chat/tool_calls.hpp"
#include "runtime/json/object.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace skep::actors {

/// One event of Anthropic's streams as a frame.
std::string messages_event(std::string_view name, std::string_view data);

/// What the id of a tool call begins with that came without one: it says which answer it is of.
std::string made_up_call_prefix(std::string_view answer_id);

/// Writes the content of one streamed answer as Anthropic's events: each piece opens the block it
/// belongs to when another one is open, so text, thinking and tool calls may come in any order. Its
/// memory is bounded by the bytes of the answer's tool calls.
class block_stream {
public:
  /// A piece of thinking; without an index it goes on with the block that is open and unsigned.
  void add_thinking(std::string_view raw);
  /// A block of any other type, whole.
  void add_block(std::string_view raw);
  void add_text(std::string_view text);
  /// A piece of a tool call. Those of several calls may come by turns: what comes late goes to its
  /// block's index, which clients put together by. `answer_id` makes up the id of a call that has
  /// none of its own.
  void add_call(const msg::tool_call& piece, std::string_view answer_id);
  /// Ends what is open.
  void end();

  /// The frames written since the last time.
  std::string take();
  bool has_calls() const {
    return !calls_.empty();
  }

private:
  enum class open_block : std::uint8_t { none, thinking, text, call };

  struct call {
    std::uint64_t block = 0;
    std::string id;
    // What came before the name did; a block cannot begin without.
    std::string waiting;
    bool begun = false;
  };

  void close();
  void begin(open_block kind, std::string_view content);
  void delta(std::uint64_t block, std::string_view data);
  void stop(std::uint64_t block);
  void begin_call(call& which, std::string_view name);

  std::string out_;
  open_block open_ = open_block::none;
  // The number of the next block, one above that of the open one.
  std::uint64_t next_ = 0;
  std::uint64_t thinking_ = 0;
  std::string signature_;
  std::map<std::uint32_t, call> calls_; // By their index.
  call_ids ids_;
};

} // namespace skep::actors
