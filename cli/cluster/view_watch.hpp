#pragma once

#include <memory>
#include <string>

namespace skep::net {
class http_client;
} // namespace skep::net

namespace skep::cli::cluster {

/// Asks a node how its cluster is doing while a poll() loop goes on with other things. One question
/// at a time; for one thread, the answers come on the fetch thread's own and wake through fd().
class view_watch {
public:
  view_watch();
  ~view_watch();
  view_watch(const view_watch&) = delete;
  view_watch& operator=(const view_watch&) = delete;

  /// Becomes readable when an answer came; then call take().
  int fd() const;
  /// Sends GET /cluster to this node, unless a question is still open. Answered within 5 s.
  void ask(const std::string& endpoint);
  void take();
  /// "view 4", "view 4, no quorum", "no view"; empty while nobody told.
  const std::string& standing() const {
    return standing_;
  }

private:
  struct answer;
  std::shared_ptr<answer> answer_;
  std::unique_ptr<net::http_client> client_;
  bool asking_ = false;
  std::string standing_;
};

} // namespace skep::cli::cluster
