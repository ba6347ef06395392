#pragma once

#include "runtime/base/expected.hpp"

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace skep::cli::bench {

/// A server of this very binary, a node or a simulated upstream, started for one workload.
class child_server {
public:
  /// `command` and its arguments, `sets` each behind a --set; a free port of loopback comes in
  /// addition. Waits until it is ready, at most ten seconds. Its log goes to a file in a folder of
  /// its own.
  static expected<std::unique_ptr<child_server>> start(const std::vector<std::string>& command,
                                                       const std::vector<std::string>& sets);
  child_server(const child_server&) = delete;
  child_server& operator=(const child_server&) = delete;
  /// Stops it, by force if it has to be.
  ~child_server();

  /// "http://127.0.0.1:PORT".
  const std::string& url() const {
    return url_;
  }
  /// SIGTERM; true when it ended in good order, with 0.
  bool stop();

private:
  child_server() = default;
  expected<void> wait_until_ready(const std::string& ready_file, const std::string& what);

  pid_t pid_ = -1;
  std::string folder_;
  std::string url_;
};

} // namespace skep::cli::bench
