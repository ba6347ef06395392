#pragma once

#include "actors/common/tool_calls.hpp"
#include "messages/chat.hpp"
#include "messages/failure.hpp"
#include "messages/provider.hpp"

#include <tl/expected.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// OpenAI's chat completions as JSON, both ways: the gateway reads requests and writes answers, the
// connectors write requests and read answers. Members skep does not know are kept and passed on.
namespace skep::actors {

/// What is wrong with a request, for the error envelope.
struct api_error {
  failure why;
  /// The member at fault ("messages"); empty when none in particular is.
  std::string param;
};

/// A client's request body.
struct chat_body {
  msg::chat_request request;
  /// stream_options.include_usage.
  bool include_usage = false;
};

/// Reads the body of POST /v1/chat/completions.
tl::expected<chat_body, api_error> read_chat_body(std::string_view json);

/// The body for a provider. A stream asks for usage, so that it is always known, unless the server
/// refuses `stream_options`.
std::string write_chat_request(const msg::chat_request& request, bool stream_usage = true);

/// Choices of one answer, and the bound on their numbers: OpenAI's on n.
inline constexpr std::uint32_t choices_max = 128;
/// An answer's id, and its model: both stand in every frame of a stream.
inline constexpr std::size_t answer_name_bytes_max = 1024;

/// What a stream's beginning says beyond them stands in every frame, too; what is longer than this
/// only in the first one: no answer grows by that length times its pieces.
inline constexpr std::size_t repeated_bytes_max = 1024;
/// What of a beginning's further members stands in every frame. Lists and objects do not: they are
/// about the prompt (Azure's prompt_filter_results), or too long.
std::string repeated_members(const std::string& rest);

/// errc::provider_failed when an answer's id or model is longer than that.
tl::expected<void, failure> check_head(std::string_view id, std::string_view model);

/// A provider's whole answer; errc::provider_failed when it is none.
tl::expected<msg::chat_reply, failure> read_chat_reply(std::string_view json);

/// The body of a whole answer.
std::string write_chat_reply(const msg::chat_reply& reply);

/// All tokens: the provider's own sum, which counts thinking at some, or that of the other two.
std::uint64_t total_of(const msg::token_usage& usage);

/// Usage as chat completions show it.
std::string write_usage(const msg::token_usage& usage);

/// What an error body says; empty where it says nothing.
struct provider_error {
  std::string message;
  std::string type;
  /// As text, also when it came as a number.
  std::string code;
  /// The member of the request at fault.
  std::string param{};
  /// It lists for which of its rules a filter refused the request (OpenRouter).
  bool has_reasons = false;
};

/// Reads an error body of any usual shape: OpenAI's, an error that is plain text, members at the
/// top level (vLLM), a `detail` that is a text or a list (FastAPI), also inside of the message
/// (Mistral), a list of errors (Gemini), or a choice that failed (OpenRouter).
provider_error read_error(std::string_view json);

/// What one event of a provider's stream holds.
struct chunk_event {
  /// What the event says of the answer as a whole; members it does not have are empty.
  msg::chat_open open;
  std::vector<msg::chat_chunk> chunks;
  std::optional<msg::token_usage> usage;
  /// The provider reports an error instead.
  std::optional<provider_error> error;
  /// Nothing of the answer follows.
  bool last = false;
};

/// Reads the events of one streamed answer, in their order.
class chunk_reader {
public:
  /// Reads the data of one event; errc::provider_failed when it is no chunk.
  tl::expected<chunk_event, failure> read(std::string_view json);

private:
  std::map<std::uint32_t, tool_call_reader> calls_; // By the choice's number.
};

/// `{"error":{message,type,param,code}}`, all four always there; empty param and code are null.
std::string write_error(std::string_view message, std::string_view type, std::string_view param,
                        std::string_view code);

/// A provider's list of models; errc::provider_failed when it is none.
tl::expected<std::vector<msg::model_entry>, failure> read_models(std::string_view json);
/// One entry as the API shows it.
std::string write_model(const msg::model_entry& model);

} // namespace skep::actors
