#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Tags 0x03xx: providers beyond what chat.hpp has.
namespace skep::msg {

/// Which models a provider has. Answered by models_reply.
struct models_request {
  SKEP_MESSAGE(0x0301, 1)
};

/// One model as the provider lists it.
struct model_entry {
  std::string id;
  /// Seconds since 1970; 0 when the provider does not say.
  std::int64_t created = 0;
  std::string owned_by;
  /// JSON object of what the provider says besides (max_model_len, display_name); or empty.
  std::string rest{};
  SKEP_RECORD(id, created, owned_by, rest)
};

struct models_reply {
  std::vector<model_entry> models;
  SKEP_MESSAGE(0x0302, 2, models)
};

/// Asks for the vectors of texts. Answered by embed_reply, in the order of the texts. Errors: as
/// chat_request's.
struct embed_request {
  /// The model's name at the provider.
  std::string model;
  std::vector<std::string> texts;
  /// Instead of texts, for the provider as they are: a JSON list of tokens, or of such lists.
  std::string tokens;
  /// JSON object of every other member of the request body (dimensions, user); or empty.
  std::string parameters;
  SKEP_MESSAGE(0x0303, 1, model, texts, tokens, parameters)
};

/// One text's vector; `values` are little-endian 32-bit floats, one after the other.
struct embedding {
  std::string values;
  SKEP_RECORD(values)
};

struct embed_reply {
  std::string model;
  std::vector<embedding> embeddings;
  std::uint64_t prompt_tokens = 0;
  SKEP_MESSAGE(0x0304, 1, model, embeddings, prompt_tokens)
};

} // namespace skep::msg
