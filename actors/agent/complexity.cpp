#include "actors/agent/complexity.hpp"

#include "apis/chat/tool_calls.hpp"
#include "runtime/json/members.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <optional>

namespace skep::actors {

namespace {

// Each sign's share of the score; docs/model-routing.md shows the same table.
constexpr std::uint32_t per_doubling = 5; // Of the prompt, above 64 tokens.
constexpr std::uint32_t length_max = 35;
constexpr std::uint32_t turns_max = 10;
constexpr std::uint32_t has_tools = 10;
constexpr std::uint32_t has_many_tools = 15;
constexpr std::size_t many_tools = 6;
constexpr std::uint32_t has_code = 15;
constexpr std::uint32_t has_parts = 10;
constexpr std::uint32_t has_schema = 5;
constexpr std::uint32_t per_word = 10;
constexpr std::uint32_t words_max = 30;
constexpr std::uint32_t per_question = 3; // After the first.
constexpr std::uint32_t questions_max = 9;

constexpr std::array<std::string_view, 18> reasoning_words{
  "prove",    "derive",     "step by step", "reason",   "analyze",  "analyse",
  "optimize", "optimise",   "trade-off",    "tradeoff", "debug",    "refactor",
  "design",   "root cause", "complexity",   "theorem",  "evaluate", "compare"};

constexpr char lowered(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool contains_word(std::string_view text, std::string_view word) {
  const auto same = [](char a, char b) { return lowered(a) == b; };
  const auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  for (auto from = text.begin();;) {
    from = std::search(from, text.end(), word.begin(), word.end(), same);
    if (from == text.end())
      return false;
    // "prove" and "proves", but not "improve".
    if (from == text.begin() || !is_letter(*(from - 1)))
      return true;
    ++from;
  }
}

const msg::chat_message* last_of_user(const std::vector<msg::chat_message>& messages) {
  const auto found = std::find_if(messages.rbegin(), messages.rend(),
                                  [](const msg::chat_message& m) { return m.role == "user"; });
  return found == messages.rend() ? nullptr : &*found;
}

std::uint32_t score_of_length(std::uint64_t tokens) {
  const auto doublings = tokens < 64 ? 0 : std::bit_width(tokens / 64);
  return std::min(length_max, per_doubling * static_cast<std::uint32_t>(doublings));
}

std::uint32_t score_of_text(const msg::chat_message& message) {
  // Where the content is a list of parts it stands in `rest`.
  const std::string_view text = message.content.empty() ? message.rest : message.content;
  const auto words
    = std::count_if(reasoning_words.begin(), reasoning_words.end(),
                    [&](std::string_view word) { return contains_word(text, word); });
  const auto questions = std::count(text.begin(), text.end(), '?');
  auto score = std::min(words_max, per_word * static_cast<std::uint32_t>(words));
  if (questions > 1)
    score += std::min<std::uint32_t>(questions_max,
                                     per_question * static_cast<std::uint32_t>(questions - 1));
  if (text.find("```") != std::string_view::npos)
    score += has_code;
  return score;
}

bool has_images(const msg::chat_message& message) {
  return message.rest.find("\"image_url\"") != std::string::npos;
}

/// The score the request asks for itself; nothing when it does not.
std::optional<std::uint32_t> wished_score(const std::vector<json::member>& parameters) {
  for (const auto& each : parameters) {
    if (each.name == "thinking" && each.value.find("\"enabled\"") != std::string_view::npos)
      return complexity_max;
    if (each.name != "reasoning_effort")
      continue;
    if (each.value == "\"high\"" || each.value == "\"xhigh\"")
      return complexity_max;
    if (each.value == "\"none\"" || each.value == "\"minimal\"")
      return 0;
  }
  return std::nullopt;
}

std::uint32_t score_of_parameters(const std::vector<json::member>& parameters) {
  std::uint32_t score = 0;
  for (const auto& each : parameters) {
    if (each.name == "tools") {
      const auto tools = json::elements_of(each.value);
      const auto count = tools ? tools->size() : 0;
      score += count >= many_tools ? has_many_tools : count > 0 ? has_tools : 0;
    } else if (each.name == "response_format"
               && each.value.find("\"json_schema\"") != std::string_view::npos) {
      score += has_schema;
    }
  }
  return score;
}

} // namespace

std::uint64_t prompt_tokens_estimate(const std::vector<msg::chat_message>& messages,
                                     std::string_view parameters) {
  std::uint64_t bytes = parameters.size();
  for (const auto& each : messages)
    bytes += each.content.size() + each.rest.size() + text_bytes_of(each.tool_calls);
  return (bytes + 3) / 4;
}

std::uint32_t complexity_of(const std::vector<msg::chat_message>& messages,
                            std::string_view parameters) {
  const auto members = json::members_of(parameters).value_or(std::vector<json::member>{});
  if (const auto wished = wished_score(members))
    return *wished;
  const auto turns = static_cast<std::uint32_t>(
    std::count_if(messages.begin(), messages.end(),
                  [](const msg::chat_message& m) { return m.role != "system"; }));
  auto score = score_of_length(prompt_tokens_estimate(messages, {})) + score_of_parameters(members);
  score += std::min(turns_max, turns > 0 ? turns - 1 : 0);
  if (const auto* last = last_of_user(messages))
    score += score_of_text(*last);
  if (std::any_of(messages.begin(), messages.end(), has_images))
    score += has_parts;
  return std::min(complexity_max, score);
}

} // namespace skep::actors
