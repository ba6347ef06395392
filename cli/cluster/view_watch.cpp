#include "cli/cluster/view_watch.hpp"

#include "cli/cluster/child_process.hpp"
#include "cli/cluster/cluster_report.hpp"
#include "cli/http.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <mutex>

namespace skep::cli::cluster {

/// Shared with the transfer, which may outlive the watch.
struct view_watch::answer final : net::fetch_handler {
  void on_done(net::fetch_result result) noexcept override {
    {
      std::lock_guard guard{mutex};
      latest = std::move(result);
    }
    const std::uint64_t one = 1;
    // Full at 2^64 - 2, which nobody counts to.
    (void)!write(wake.get(), &one, sizeof one);
  }

  owned_fd wake{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::mutex mutex; // Guards latest.
  net::fetch_result latest;
};

view_watch::view_watch()
  : answer_(std::make_shared<answer>()),
    client_(std::make_unique<net::http_client>(net::fetch_config{})) {}

view_watch::~view_watch() = default;

int view_watch::fd() const {
  return answer_->wake.get();
}

void view_watch::ask(const std::string& endpoint) {
  if (!asking_)
    asking_ = client_->start(command_request("GET", base_url(endpoint) + "/cluster"), answer_)
                .has_value();
}

void view_watch::take() {
  std::uint64_t count = 0;
  if (read(answer_->wake.get(), &count, sizeof count) != sizeof count)
    return;
  asking_ = false;
  net::fetch_result result;
  {
    std::lock_guard guard{answer_->mutex};
    result = std::move(answer_->latest);
  }
  standing_.clear();
  if (!result.ok() || result.status != 200)
    return;
  const auto picture = read_cluster(result.body);
  if (!picture)
    return;
  standing_ = picture->view == 0 ? "no view" : "view " + std::to_string(picture->view);
  if (!picture->quorum)
    standing_ += ", no quorum";
}

} // namespace skep::cli::cluster
