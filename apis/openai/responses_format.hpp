#pragma once

#include "apis/chat/answer_format.hpp"
#include "apis/chat/tool_calls.hpp"
#include "apis/openai/responses_json.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// When an answer was whole: the same for all who write it. Thread-safe.
class completion_time {
public:
  /// Seconds since 1970, of the first call; not before `earliest`.
  std::int64_t seconds(std::int64_t earliest);

private:
  std::atomic<std::int64_t> at_{0};
};

/// What a response says of itself, whoever answers.
struct response_head {
  /// "resp_…".
  std::string id;
  /// Seconds since 1970.
  std::int64_t created = 0;
  /// As the client named it; the answer's own name replaces it.
  std::string model;
  /// JSON object: the request's members that the response repeats (response_order::echo).
  std::string echo;
  response_rules rules{};
  /// previous_response_id, where the provider knows that response by another name; else empty.
  std::string previous{};
  /// Copies of a head share it.
  std::shared_ptr<completion_time> completed = std::make_shared<completion_time>();
};

/// A response of OpenAI's Responses API as it grows: takes the pieces of a chat answer, puts the
/// output items together and writes the events of the stream. Two writers that get the same head
/// and the same pieces write the same. Takes the first choice only, and leaves out calls that the
/// request did not allow. Not thread-safe.
class response_writer {
public:
  explicit response_writer(response_head head);

  /// response.created and response.in_progress.
  std::string begin(const msg::chat_open& open);
  /// The events of one piece; may be empty.
  std::string add(const msg::chat_chunk& piece);
  /// Ends open items, then response.completed or response.incomplete.
  std::string end(const msg::token_usage& usage);
  /// `error` and response.failed.
  std::string fail(const failure& why, std::string_view param);
  /// All of a whole answer, instead of pieces; without events.
  void take(const msg::chat_reply& reply);

  /// The response object, whole after end() or take().
  std::string object() const;
  /// Its output items, whole likewise.
  std::vector<std::string> items() const;
  const std::string& id() const {
    return head_.id;
  }

private:
  enum class item_kind : std::uint8_t { reasoning, message, call };
  enum class part_kind : std::uint8_t { reasoning, summary, text, refusal };

  struct part {
    part_kind kind = part_kind::text;
    std::string text;
    std::vector<std::string> logprobs; // JSON objects.
  };
  struct thought {
    std::string type;
    std::string thinking;
    std::string signature;
    std::string whole; // JSON of a block that comes in one piece.
  };
  struct item {
    item_kind kind = item_kind::message;
    std::string id;
    bool open = true;
    std::vector<part> parts;
    // Of reasoning: Anthropic's blocks by their number.
    std::map<std::uint64_t, thought> thoughts;
    // Of a call.
    std::string call_id;
    std::string name;
    std::string arguments;
    bool custom = false;
  };

  void think(std::string_view text);
  void think_blocks(std::string_view blocks);
  void say(part_kind kind, std::string_view text, std::string_view logprobs);
  void call_tool(const msg::tool_call& piece);
  item& item_for(item_kind kind);
  item& open_item(item_kind kind);
  part& part_for(item& in, part_kind kind);
  void add_arguments(item& it, const std::string& piece);
  void hold(const msg::tool_call& piece);
  void begin_call(const msg::tool_call& first);
  void begin_held_calls();
  void close_open_talk();
  void close(item& it);
  void close_part(const item& it, std::size_t index);
  void close_call(const item& it);
  void note_tier(std::string_view members);
  void finish(const msg::token_usage& usage);

  void event(std::string_view type, std::string_view members);
  std::string place_of(const item& it) const;
  std::string place_of(const item& it, std::size_t content_index) const;
  std::string part_json(const part& p) const;
  std::string item_json(const item& it) const;
  std::string call_json(const item& it, std::string_view state) const;
  std::string thoughts_json(const item& it) const;
  std::string status() const;

  response_head head_;
  std::vector<item> items_;
  // Where in items_ a call and a thinking block of a number stand, and what is being said.
  std::map<std::uint32_t, std::size_t> calls_at_;
  std::map<std::uint64_t, std::size_t> thoughts_at_;
  // Calls whose name has not come yet, and those that are left out.
  std::map<std::uint32_t, msg::tool_call> held_;
  std::set<std::uint32_t> suppressed_;
  std::optional<std::size_t> talk_at_;
  call_ids call_ids_;
  std::string events_; // Of the call at work.
  std::uint64_t sequence_ = 0;
  std::string finish_reason_;
  std::string usage_; // JSON; empty: not known yet.
  std::string error_; // JSON; empty: none.
  bool done_ = false;
};

/// Writes an answer as a response; what came in the API goes on under the head's names.
std::unique_ptr<answer_format> responses_format(response_head head);

} // namespace skep::actors
