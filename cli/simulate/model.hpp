#pragma once

#include "cli/simulate/plan.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the simulated models are asked and what they say, whatever dialect it is written in; pure.
namespace skep::cli::simulate {

/// Whose API a call speaks.
enum class dialect : std::uint8_t { openai, anthropic };

/// A tool a model calls.
struct tool_use {
  std::string name;
  /// A JSON object that has what the tool's schema requires.
  std::string arguments;
};

/// A request for an answer.
struct model_call {
  std::string model;
  bool stream = false;
  /// stream_options.include_usage.
  bool include_usage = false;
  /// The text of the last message.
  std::string prompt;
  /// The last message is what a tool said.
  bool after_tool = false;
  /// The tool this call makes the model call: when one is forced, or the prompt names it.
  std::optional<tool_use> tool;
  bool thinking = false;
  std::optional<std::uint64_t> tokens_max;
  std::vector<std::string> stops;
  /// Of the messages.
  std::uint64_t fingerprint = 0;
  std::size_t prompt_bytes = 0;
};

/// What is wrong with a request; status 400 or 404.
struct call_error {
  int status = 400;
  std::string message;
  std::string param;
};

/// Reads a request body as strictly as the API it imitates where it is about what others translate:
/// roles, tool results that answer a call, limits that must be there.
tl::expected<model_call, call_error> read_openai_call(std::string_view json);
tl::expected<model_call, call_error> read_anthropic_call(std::string_view json);

enum class ending : std::uint8_t { stop, length, tool, stop_sequence };

/// What a model says.
struct model_answer {
  /// The number in its ids.
  std::uint64_t number = 0;
  std::string model;
  std::vector<std::string> thinking;
  /// One token each, spaces included; the first one says that it is simulated.
  std::vector<std::string> tokens;
  std::optional<tool_use> tool;
  ending end = ending::stop;
  /// The stop sequence that ended it.
  std::string stopped_by;
  std::uint64_t tokens_in = 0;
  std::uint64_t tokens_out = 0;
};

/// The same answer for the same messages and seed. "Repeat: TEXT" gets TEXT, a tool's result is
/// quoted, everything else gets some words.
model_answer answer_to(const model_call& call, const upstream_config& config);
/// An answer whose text is `bytes` long in one piece.
model_answer huge_answer_to(const model_call& call, std::size_t bytes);

/// A text's tokens: words with the space before them.
std::vector<std::string> tokens_of(std::string_view text);
/// As an estimate: four bytes each.
std::uint64_t tokens_in(std::size_t bytes);

} // namespace skep::cli::simulate
