#pragma once

#include "apis/openai/chat_json.hpp"
#include "messages/chat.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// OpenAI's Responses API, the server's side: what a client asks for, as a conversation in the form
// of chat completions, which skep uses inside.
//
// Items of the input become messages: what the model said in one go (reasoning, text, function
// calls) is one assistant message. What chat completions have no name for is refused by name
// (most hosted tools, background, conversation, prompt), so that nothing is left out unseen; the
// hosted tools that are left out are missing in the tools the response repeats. A reasoning
// item's encrypted_content carries Anthropic's thinking_blocks (anthropic_request.hpp), which are a
// JSON list; anything else in it comes from elsewhere and is passed over.
namespace skep::actors {

/// What a request says of the items of its answer.
struct response_rules {
  /// Names of the tools that may be called; nothing: any.
  std::optional<std::set<std::string>> allowed{};
  /// Of functions in a namespace: namespace and name by the name the model calls (flat_name()).
  std::map<std::string, std::pair<std::string, std::string>> spaced{};
  /// Reasoning is told as a summary, because reasoning.summary was asked for.
  bool summary = false;
};

/// The one name that chat completions have for a function in a namespace.
std::string flat_name(std::string_view space, std::string_view name);

/// A client's request body of POST /v1/responses.
struct response_order {
  std::string model;
  bool stream = false;
  /// Whether the response is kept.
  bool store = true;
  /// previous_response_id; or empty.
  std::string previous;
  /// Said to the model before the conversation; of this request only.
  std::string instructions;
  /// Items of this request, as JSON; a text is made a message item.
  std::vector<std::string> input;
  /// The parameters of the chat request (msg::chat_request::parameters).
  std::string parameters;
  /// JSON object of the members that the response repeats: instructions, tools, temperature, …;
  /// with what is in force where nothing was asked for.
  std::string echo;
  response_rules rules;
  /// What only the provider's own Responses API can serve; then there are no parameters.
  std::optional<api_error> untyped{};
  /// Items were put in that providers know no reference to.
  bool only_here = false;
};

/// Reads the body; errors name a member of the wrong type, or one that is served nowhere.
/// Translated: tools, tool_choice, text, reasoning, top_logprobs, and max_output_tokens as
/// max_completion_tokens, which counts reasoning, too. Kept to us: metadata, truncation ("auto"
/// cannot be done and is answered as "disabled"), include, max_tool_calls, client_metadata,
/// stream_options. All else goes on to the provider as it came.
tl::expected<response_order, api_error> read_response_body(std::string_view json);

/// The conversation of these items, as messages; `instructions` become a system message in front.
/// An error names the item by its place in `items` from `first` on: those before it are ours. Items
/// that chats have no name for are errors, or, with `untyped`, left out, and the first is noted
/// there.
tl::expected<std::vector<msg::chat_message>, api_error>
conversation_of(const std::vector<std::string>& items, std::string_view instructions,
                std::size_t first = 0, std::optional<api_error>* untyped = nullptr);

/// An item as it is kept and shown: a message has its type, its content is a list of parts, and an
/// item without an id has `id`.
std::string shown_item(std::string_view item, std::string_view id);

} // namespace skep::actors
