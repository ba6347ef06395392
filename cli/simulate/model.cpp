#include "cli/simulate/model.hpp"

#include "runtime/flow/rng.hpp"

#include <algorithm>
#include <array>

namespace skep::cli::simulate {

namespace {

constexpr std::string_view simulated = "[simulated]";
constexpr std::string_view repeat = "Repeat: ";
constexpr std::string_view thoughts = "Let me think about this first.";

constexpr std::array words{
  "rain", "falls", "on",    "the",   "roof", "while",  "bees",   "stay", "inside", "and",
  "wait", "until", "light", "comes", "back", "to",     "meadow", "then", "each",   "one",
  "goes", "out",   "finds", "a",     "way",  "brings", "home",   "what", "it",     "found",
};

std::string text_of(const model_call& call, const upstream_config& config) {
  std::string text{simulated};
  if (call.after_tool)
    return text + " The tool said: " + call.prompt;
  if (call.prompt.starts_with(repeat))
    return text + " " + call.prompt.substr(repeat.size());
  flow::rng random{call.fingerprint ^ config.seed};
  const auto count = config.tokens_min + random.below(config.tokens_max - config.tokens_min + 1);
  for (std::uint32_t n = 1; n < count; ++n)
    text.append(" ").append(words[random.below(words.size())]);
  return text;
}

void stop_at(std::string& text, const std::vector<std::string>& stops, model_answer& into) {
  auto first = std::string::npos;
  for (const auto& stop : stops) {
    const auto at = stop.empty() ? std::string::npos : text.find(stop);
    if (at >= first)
      continue;
    first = at;
    into.end = ending::stop_sequence;
    into.stopped_by = stop;
  }
  if (first != std::string::npos)
    text.resize(first);
}

} // namespace

std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  while (!text.empty()) {
    const auto end = std::min(text.find(' ', 1), text.size());
    tokens.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return tokens;
}

std::uint64_t tokens_in(std::size_t bytes) {
  return (bytes + 3) / 4;
}

model_answer answer_to(const model_call& call, const upstream_config& config) {
  model_answer answer;
  answer.model = call.model;
  answer.tokens_in = tokens_in(call.prompt_bytes);
  if (call.thinking)
    answer.thinking = tokens_of(thoughts);
  if (call.tool) {
    answer.tool = call.tool;
    answer.end = ending::tool;
    answer.tokens_out = tokens_in(call.tool->arguments.size());
  } else {
    auto text = text_of(call, config);
    stop_at(text, call.stops, answer);
    answer.tokens = tokens_of(text);
    if (call.tokens_max && answer.tokens.size() > *call.tokens_max) {
      answer.tokens.resize(*call.tokens_max);
      answer.end = ending::length;
    }
  }
  answer.tokens_out += answer.tokens.size() + answer.thinking.size();
  return answer;
}

model_answer huge_answer_to(const model_call& call, std::size_t bytes) {
  model_answer answer;
  answer.model = call.model;
  answer.tokens_in = tokens_in(call.prompt_bytes);
  answer.tokens = {std::string{simulated}, " " + std::string(bytes, 'x')};
  answer.tokens_out = tokens_in(bytes);
  return answer;
}

} // namespace skep::cli::simulate
