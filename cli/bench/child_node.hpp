#pragma once

#include "runtime/base/expected.hpp"

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace skep::cli::bench {

/// A node of this very binary, started for one workload.
class child_node {
public:
  /// Waits until it is ready, at most ten seconds. Its log goes to a file in a folder of its own.
  static expected<std::unique_ptr<child_node>> start(const std::string& config,
                                                     const std::vector<std::string>& sets);
  child_node(const child_node&) = delete;
  child_node& operator=(const child_node&) = delete;
  /// Stops it, by force if it has to be.
  ~child_node();

  /// "http://127.0.0.1:PORT".
  const std::string& url() const {
    return url_;
  }
  /// SIGTERM; true when it drained and exited with 0.
  bool stop();

private:
  child_node() = default;
  expected<void> wait_until_ready(const std::string& ready_file);

  pid_t pid_ = -1;
  std::string folder_;
  std::string url_;
};

} // namespace skep::cli::bench
