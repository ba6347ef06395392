#pragma once

// tidy: allow size, one protocol of which agents and providers must see the whole

#include "messages/message.hpp"
#include "messages/native_api.hpp"
#include "messages/shared_list.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Tags 0x01xx: conversations. Agents and providers speak the same protocol: a chat_request is
// answered by one chat_reply, or by a stream chat_open, chat_chunk…, chat_end. What OpenAI's API
// has and skep need not understand travels as JSON text in the `rest` and `extra` fields and is
// passed on untouched.
namespace skep::msg {

/// A model's call of a tool; in a chat_chunk a piece of one, of which any field may be empty.
struct tool_call {
  /// Its place among the calls of its message; of a piece the place of the call it belongs to.
  std::uint32_t index = 0;
  std::string id;
  /// "function" or "custom"; empty when it was not said.
  std::string type;
  std::string name;
  /// The text as the API has it: of a function JSON, of a custom tool whatever it takes. In a piece
  /// it goes on where the last piece ended.
  std::string arguments;
  /// JSON object of every other member as it came, those beside name and arguments in an object
  /// named `function` or `custom`, as they stood; or empty.
  std::string extra;
  SKEP_RECORD(index, id, type, name, arguments, extra)
};

/// One message of a conversation.
struct chat_message {
  /// system, developer, user, assistant or tool.
  std::string role;
  /// The text; empty when the content is a list of parts (then `rest` has "content") or null.
  std::string content;
  /// JSON object of every other member (name, tool_call_id, content parts); or empty.
  std::string rest;
  std::vector<tool_call> tool_calls{};
  SKEP_RECORD(role, content, rest, tool_calls)
};

/// Tokens as the provider counted them.
struct token_usage {
  std::uint64_t prompt = 0;
  std::uint64_t completion = 0;
  /// Prompt tokens the provider had cached.
  std::uint64_t cached_prompt = 0;
  /// Counted here, not by the provider: say so where it is shown.
  bool estimated = false;
  /// JSON object of further details the provider sent; or empty.
  std::string rest;
  SKEP_RECORD(prompt, completion, cached_prompt, estimated, rest)
};

/// How the response cache takes part in a call.
enum class cache_mode : std::uint8_t {
  /// Look up, and store what was missing.
  use = 0,
  /// Do not look up, but store the fresh answer (Cache-Control: no-cache).
  refresh = 1,
  /// Neither look up nor store (Cache-Control: no-store).
  off = 2,
};

/// What was written in an API: a JSON object, or events of a stream ("event: …\ndata: …\n\n").
struct native_text {
  std::uint8_t api = 0; // A native_api.
  std::string text;

  bool is(native_api which) const {
    return api == static_cast<std::uint8_t>(which);
  }
  SKEP_RECORD(api, text)
};

/// Without one it costs nothing: who knows no such field counts the same.
inline std::size_t bytes_of_field(const native_text& given) {
  return given.text.empty() ? 0 : sizeof(given) + given.text.size();
}

struct native_header {
  /// In lower case.
  std::string name;
  std::string value;
  SKEP_RECORD(name, value)
};

/// A client's request for providers that speak its API.
struct native_request {
  std::uint8_t api = 0; // A native_api.
  /// The body, JSON; empty where somebody changed the conversation, to which the headers belong.
  std::string body;
  /// Headers of the API's own (anthropic-beta).
  std::vector<native_header> headers;
  /// The provider, by its name, whose ids are in the body; empty: there are none.
  std::string provider;
  /// Why nobody else can answer: what of the body the typed reading has no place for, in words for
  /// the client. Empty: the typed reading has all that matters.
  std::string untyped;
  std::uint8_t task = 0; // A native_task.
  SKEP_RECORD(api, body, headers, provider, untyped, task)
};

/// Asks an agent or a provider for the next message of a conversation.
/// Errors: any errc; the first one before anything was streamed may be retried elsewhere.
struct chat_request {
  /// For an agent its name; for a provider the model's name there.
  std::string model;
  /// Shared by the actors that pass the request on.
  shared_list<chat_message> messages;
  /// JSON object of every other member of the request body (temperature, tools, …); or empty.
  std::string parameters;
  bool stream = false;
  std::uint8_t cache = 0; // A cache_mode.
  /// Oldest cached answer the caller takes, in seconds; 0: any that has not expired.
  std::uint32_t cache_max_age_s = 0;
  /// One, or none: what the client sent.
  shared_list<native_request> native{};
  SKEP_MESSAGE(0x0101, 4, model, messages, parameters, stream, cache, cache_max_age_s, native)
};

/// One of the answers (nearly always the only one).
struct chat_choice {
  std::uint32_t index = 0;
  std::string role = "assistant";
  std::string content;
  /// The provider sent `content: null` (a tool call).
  bool content_null = false;
  /// stop, length, tool_calls or content_filter; empty when nobody said how the answer ended.
  std::string finish_reason;
  /// JSON object of further members of the message (refusal, …); or empty.
  std::string message_rest;
  /// JSON object of further members of the choice (logprobs); or empty.
  std::string rest;
  std::vector<tool_call> tool_calls{};
  SKEP_RECORD(index, role, content, content_null, finish_reason, message_rest, rest, tool_calls)
};

/// Where an answer came from, for headers, metrics and logs.
struct answer_origin {
  /// The provider's name in the config; empty when no provider was asked.
  std::string provider;
  /// Providers tried, the successful one included.
  std::uint32_t attempts = 0;
  /// A cache_status.
  std::uint8_t cache = 0;
  /// Seconds the cached answer stays fresh.
  std::uint32_t cache_ttl_s = 0;
  /// The cache's key of the request, 32 hexadecimal digits; of a semantic hit the key of the entry
  /// that was served. Empty when the cache had no part in it.
  std::string cache_key{};
  /// Of a semantic hit: the cosine of the two texts in thousandths.
  std::uint32_t similarity = 0;
  /// What the provider said of its rate limits in headers; only to the caller it was asked for.
  std::vector<native_header> limits{};
  SKEP_RECORD(provider, attempts, cache, cache_ttl_s, cache_key, similarity, limits)
};

/// What the response cache did for a call.
enum class cache_status : std::uint8_t {
  none = 0,
  hit = 1,
  miss = 2,
  bypass = 3,
  /// Answered by a call for the same that was in flight already.
  shared = 4,
  /// Served although no longer fresh, while a new answer is fetched.
  stale = 5,
  /// The answer to another text that means the same.
  semantic = 6,
};

/// A whole answer.
struct chat_reply {
  /// The provider's id of the completion ("chatcmpl-…").
  std::string id;
  /// Seconds since 1970, from the provider.
  std::int64_t created = 0;
  /// The model that answered, as the provider calls it.
  std::string model;
  std::vector<chat_choice> choices;
  token_usage usage;
  /// JSON object of further members of the body (system_fingerprint, service_tier); or empty.
  std::string rest;
  answer_origin origin;
  /// The same answer as the provider wrote it.
  native_text native{};
  SKEP_MESSAGE(0x0102, 5, id, created, model, choices, usage, rest, origin, native)
};

/// An answer begins to stream.
struct chat_open {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  std::string rest;
  answer_origin origin;
  /// The events before the first piece. When its API is set, all that follow come natively as well.
  native_text native{};
  SKEP_MESSAGE(0x0103, 4, id, created, model, rest, origin, native)
};

/// A piece of a streamed answer: for one choice, any of text, pieces of tool calls, other delta
/// members, finish reason. Or of none of them: events that say something in their own API only.
struct chat_chunk {
  std::uint32_t index = 0;
  std::string content;
  /// JSON object of the delta's further members (refusal, …); or empty.
  std::string delta_rest;
  /// Not empty in the choice's last chunk.
  std::string finish_reason;
  /// JSON object of the choice's further members (logprobs); or empty.
  std::string rest;
  std::vector<tool_call> tool_calls{};
  /// The events this was read from; or all of the answer, when it came whole. Of several pieces
  /// that one event was read as, one has the text.
  native_text native{};

  /// It has nothing but its native text.
  bool only_native() const {
    return content.empty() && delta_rest.empty() && finish_reason.empty() && rest.empty()
           && tool_calls.empty() && !native.text.empty();
  }
  SKEP_MESSAGE(0x0104, 3, index, content, delta_rest, finish_reason, rest, tool_calls, native)
};

/// The streamed answer is whole.
struct chat_end {
  token_usage usage;
  answer_origin origin;
  SKEP_MESSAGE(0x0105, 3, usage, origin)
};

} // namespace skep::msg
