#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skep::bench {

/// Sentences of a text in a file, or of all Markdown files (without code and tables) in a folder;
/// each once, in their order. errc::not_found when there are none.
expected<std::vector<std::string>> read_sentences(const std::string& path);

/// Whole answers as OpenAI's chat completions API sends them (compact JSON, all members of 2025),
/// each with sentences of its own as content until `bytes_min` are reached. Ids, times, token
/// counts and two of three models vary, the same with the same seed.
std::vector<std::string> make_answers(const std::vector<std::string>& sentences,
                                      std::size_t bytes_min, std::uint64_t seed);

} // namespace skep::bench
