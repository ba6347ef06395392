#pragma once

#include "apis/openai/chat_json.hpp"
#include "messages/provider.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// OpenAI's embeddings as JSON, both ways: the gateway reads requests and writes answers, the
// connectors write requests and read answers. Members skep does not know are passed on.
namespace skep::actors {

/// A client's request body.
struct embeddings_body {
  msg::embed_request request;
  /// encoding_format: vectors go out as base64 of little-endian floats instead of numbers.
  bool base64 = false;
};

/// Inputs of one request; the provider's bound, too.
inline constexpr std::size_t embedding_inputs_max = 2048;

/// Reads the body of POST /v1/embeddings.
tl::expected<embeddings_body, api_error> read_embeddings_body(std::string_view json);

/// The body for a provider. Asks for base64, as the official clients do: a tenth of the work.
std::string write_embeddings_request(const msg::embed_request& request, bool base64 = true);

/// The same body for numbers, for a server that has nothing else; nothing when it asks for them
/// already.
std::optional<std::string> asking_for_numbers(std::string_view body);

/// A provider's answer with vectors of either form, in the order of their index;
/// errc::provider_failed when it is none.
tl::expected<msg::embed_reply, failure> read_embeddings_reply(std::string_view json);

/// The body of an answer.
std::string write_embeddings_reply(const msg::embed_reply& reply, bool base64);

/// Floats as an embedding's bytes, and back; bytes that are no whole floats give none.
std::string bytes_of_floats(std::span<const float> values);
std::vector<float> floats_of_bytes(std::string_view bytes);

} // namespace skep::actors
