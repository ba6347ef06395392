#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skep::cli::cache {

/// Answers to train a dictionary on, as the cache holds them.
struct samples {
  /// Encoded answers: what the cache compresses.
  std::vector<std::string> answers;
  std::uint64_t bytes = 0;
  /// Lines and files that were no answer, the first few with their places.
  std::uint64_t refused = 0;
  std::vector<std::string> complaints;
  /// There was more than bytes_max.
  bool cut = false;
};

/// The most that is read; zstd uses about a hundred times the dictionary's size anyway.
inline constexpr std::uint64_t samples_bytes_max = std::uint64_t{256} << 20;

/// Reads files and folders (their *.json and *.jsonl, however deep, sorted by name). A file holds
/// one chat.completion, or one a line. errc::not_found when a path is not there.
expected<samples> read_samples(const std::vector<std::string>& paths,
                               std::uint64_t bytes_max = samples_bytes_max);

/// Every tenth answer is held back to measure by.
struct split_samples {
  std::vector<std::string> training;
  std::vector<std::string> held_back;
};
split_samples split(std::vector<std::string> answers);

} // namespace skep::cli::cache
