#pragma once

#include <cstddef>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>

// Texts of any size made of one piece, and the processor time that reading them takes: what a test
// and a fuzz target of the same kind need to tell linear readers from others.
namespace skep::testing {

/// JSON that grows in one place: `before`, pieces with commas between them, `after`.
struct growing_text {
  std::string before;
  /// The n-th piece.
  std::function<std::string(std::size_t)> piece;
  std::string after;
  std::string between = ",";

  /// A text of about this many bytes; pieces are never cut.
  std::string of(std::size_t bytes) const {
    std::string text = before;
    for (std::size_t n = 0; n == 0 || text.size() + after.size() < bytes; ++n) {
      if (n > 0)
        text += between;
      text += piece(n);
    }
    return text + after;
  }
};

/// Seconds of processor time of this thread for the work: the least of several runs.
template <class Work>
double least_seconds(int runs, const Work& work) {
  const auto now = [] {
    timespec at{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
  };
  double least = 1e9;
  for (int run = 0; run < runs; ++run) {
    const auto from = now();
    work();
    const auto took = now() - from;
    least = took < least ? took : least;
  }
  return least;
}

} // namespace skep::testing
