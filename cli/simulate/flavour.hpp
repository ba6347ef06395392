#pragma once

#include "cli/simulate/script.hpp"

#include <optional>
#include <string>
#include <string_view>

// How servers that speak the same API differ from each other; pure.
namespace skep::cli::simulate {

/// Where a stream's usage stands.
enum class usage_place : std::uint8_t {
  /// In a chunk of its own without choices, when it was asked for.
  asked,
  /// In the chunk that ends the choice, always.
  last,
  /// In every chunk, always.
  every,
  /// In a chunk of its own that ends the choice again, always.
  again,
};

/// One kind of server. Members are JSON objects; a member that an answer has already stays as it
/// is.
struct flavour {
  std::string_view name;
  dialect spoken = dialect::openai;
  /// Of whole answers and chunks; of an Anthropic message and the end of its stream.
  std::string_view top = "{}";
  /// Of whole answers only.
  std::string_view whole = "{}";
  std::string_view choice = "{}";
  /// Of a choice that has ended.
  std::string_view ended = "{}";
  /// Of the message of a whole answer.
  std::string_view message = "{}";
  /// Of the first delta, and of all.
  std::string_view first = "{}";
  std::string_view delta = "{}";
  std::string_view usage = "{}";
  /// Of a tool call.
  std::string_view call = "{}";
  /// What a stream begins with, as it stands.
  std::string_view before = {};
  /// An error's body; texts "$message", "$status" (a number), "$type" and "$code" are replaced.
  std::string_view error = {};
  /// Ids are these and a number.
  std::string_view id = "chatcmpl-simulated-";
  std::string_view call_id = "call_simulated_";
  /// What a thought's member is called; "content" is Mistral's list of parts.
  std::string_view reasoning = "reasoning_content";
  usage_place usage_at = usage_place::asked;
  bool has_fingerprint = true;
  /// Streamed calls come in one piece, with an index or without.
  bool whole_calls = false;
  bool indexed_calls = true;
  /// Members in the order of their names.
  bool sorted = false;
  /// Blanks behind the data of events.
  bool padded = false;
  /// Members the API does not know are refused.
  bool strict = false;
};

/// Null when there is none of this name.
const flavour* find_flavour(std::string_view name);
/// "openai, azure, …"
std::string flavour_names();

/// A call as it is to be answered: some kinds say usage unasked.
model_call asked_in(const flavour& kind, model_call call);
/// A good answer as this kind of server writes it. Answers of the other dialect stay as they are.
script answered_in(const flavour& kind, dialect spoken, script good, const model_answer& answer);
/// An error as this kind words it; other scripts stay as they are.
script failed_in(const flavour& kind, dialect spoken, script made);

/// What a strict API says to the first member that it does not know; nothing when it knows all.
std::optional<error_text> unknown_member(dialect spoken, std::string_view body);

} // namespace skep::cli::simulate
