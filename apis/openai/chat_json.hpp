#pragma once

#include "apis/chat/chat_body.hpp"
#include "apis/chat/provider_answer.hpp"
#include "apis/chat/tool_calls.hpp"
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

/// Reads the body of POST /v1/chat/completions.
tl::expected<chat_body, api_error> read_chat_body(std::string_view json);

/// The body for a provider. A stream asks for usage, so that it is always known, unless the server
/// refuses `stream_options`.
std::string write_chat_request(const msg::chat_request& request, bool stream_usage = true);

/// What a stream's beginning says beyond them stands in every frame, too; what is longer than this
/// only in the first one: no answer grows by that length times its pieces.
inline constexpr std::size_t repeated_bytes_max = 1024;
/// What of a beginning's further members stands in every frame. Lists and objects do not: they are
/// about the prompt (Azure's prompt_filter_results), or too long.
std::string repeated_members(const std::string& rest);

/// A provider's whole answer; errc::provider_failed when it is none.
tl::expected<msg::chat_reply, failure> read_chat_reply(std::string_view json);

/// The body of a whole answer.
std::string write_chat_reply(const msg::chat_reply& reply);

/// Usage as chat completions show it.
std::string write_usage(const msg::token_usage& usage);

/// Reads an error body of any usual shape: OpenAI's, an error that is plain text, members at the
/// top level (vLLM), a `detail` that is a text or a list (FastAPI), also inside of the message
/// (Mistral), a list of errors (Gemini), or a choice that failed (OpenRouter).
provider_error read_error(std::string_view json);

/// Reads the events of one streamed answer, in their order.
class chunk_reader {
public:
  /// Reads the data of one event; errc::provider_failed when it is no chunk.
  tl::expected<chunk_event, failure> read(std::string_view json);

private:
  std::map<std::uint32_t, tool_call_reader> calls_; // By the choice's number.
};

/// A provider's list of models; errc::provider_failed when it is none.
tl::expected<std::vector<msg::model_entry>, failure> read_models(std::string_view json);
/// One entry as the API shows it.
std::string write_model(const msg::model_entry& model);

} // namespace skep::actors
