#include "cli/cluster/cluster_report.hpp"
#include "cli/commands.hpp"
#include "cli/http.hpp"
#include "runtime/base/clock.hpp"

#include <fmt/core.h>

#include <cstdio>
#include <thread>

namespace skep::cli {

namespace {

constexpr duration look_pause = 200ms;

/// Follows a node on its way out of the view.
class drain_watch {
public:
  drain_watch(std::string url, std::string node) : url_(std::move(url)), node_(std::move(node)) {}

  /// Asks the node to leave; false after saying why it does not.
  bool begin() {
    const auto answer = ask(client_, "POST", url_ + "/cluster/drain?node=" + url_encoded(node_));
    if (answer.ok() && answer.status == 200)
      return true;
    fmt::print(stderr, "skep cluster drain: {}: {}\n", url_, complaint_of(answer));
    return false;
  }

  /// Whether it has left, telling what is new.
  bool left() {
    const auto answer = ask(client_, "GET", url_ + "/cluster");
    if (!answer.ok()) {
      // The node asked is the one that leaves, and has ended by now.
      if (is_asked_) {
        tell("it no longer answers");
        return true;
      }
      tell("cannot ask " + url_ + ": " + complaint_of(answer));
      return false;
    }
    const auto picture = cluster::read_cluster(answer.body);
    if (answer.status != 200 || !picture) {
      tell("cannot ask " + url_ + ": " + (picture ? complaint_of(answer) : picture.error().detail));
      return false;
    }
    is_asked_ = picture->node == node_;
    const auto* member = picture->member(node_);
    if (member == nullptr) {
      tell(fmt::format("left; view {} has {} members", picture->view, picture->members.size()));
      return true;
    }
    tell(member->draining
           ? fmt::format("draining, owns {} slots in view {}", member->slots, picture->view)
           : fmt::format("still a full member in view {}", picture->view));
    return false;
  }

private:
  void tell(const std::string& what) {
    if (what == told_)
      return;
    told_ = what;
    fmt::print("{}: {}\n", node_, what);
    std::fflush(stdout);
  }

  net::http_client client_{net::fetch_config{}};
  std::string url_;
  std::string node_;
  std::string told_;
  bool is_asked_ = false;
};

} // namespace

int cluster_drain(const cluster_drain_options& options) {
  const auto deadline
    = clock::now()
      + std::chrono::duration_cast<duration>(std::chrono::duration<double>{options.timeout_s});
  drain_watch watch{base_url(options.target), options.node};
  if (!watch.begin())
    return exit_failed;
  while (!watch.left()) {
    if (clock::now() >= deadline) {
      fmt::print(stderr, "skep cluster drain: {} has not left within {:g} s; it goes on leaving\n",
                 options.node, options.timeout_s);
      return exit_failed;
    }
    std::this_thread::sleep_for(look_pause);
  }
  return exit_ok;
}

} // namespace skep::cli
