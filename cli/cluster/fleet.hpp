#pragma once

#include "cli/cluster/child_process.hpp"
#include "cli/cluster/console.hpp"
#include "runtime/base/clock.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::cli::cluster {

class view_watch;

/// One process of a fleet.
struct fleet_member {
  std::string name;
  /// Path and arguments.
  std::vector<std::string> command;
  /// Variables of its own, stronger than those it inherits.
  std::map<std::string, std::string> variables;
  /// The process writes its address here once it is ready; in fleet_config::ready_folder.
  std::string ready_file;
  /// How long it may take to end when told to.
  duration stop_timeout = 35s;
};

struct fleet_config {
  /// At least one.
  std::vector<fleet_member> members;
  /// A folder that exists and nobody else writes to.
  std::string ready_folder;
  /// Whether one that ended badly is started again: after backoff_min, doubled each time up to
  /// backoff_max, back to the minimum once it ran for as long as that.
  bool restart = false;
  duration backoff_min = 200ms;
  duration backoff_max = 5s;
};

/// Starts processes, tells how they are, ends them together. One thread, one poll(): their output,
/// their ends (pidfd), their ready files (inotify) and the requests to stop all come through
/// descriptors.
class fleet {
public:
  /// `stop_fd` (a signalfd; pipes do as well, non-blocking) becomes readable with each request to
  /// stop: the first lets the processes end by themselves, a further one kills them. Both `out` and
  /// `stop_fd` must outlive the fleet.
  fleet(fleet_config config, console& out, int stop_fd);
  ~fleet();
  fleet(const fleet&) = delete;
  fleet& operator=(const fleet&) = delete;

  /// Until all have ended; true when each one's last end was a good one.
  bool run();

private:
  enum class phase : std::uint8_t { starting, ready, stopping, waiting, ended };
  /// A member and what became of it.
  struct child;
  /// A descriptor to wait for, and what to do then.
  struct source;

  void start(child& one);
  void came_out(child& one, std::size_t stream);
  void ended(child& one);
  bool ended_well(const child& one, const process_end& end) const;
  void plan_restart(child& one, const process_end& end);
  void look_for_ready();
  void stop_requested();
  void kill_all(std::string_view why);
  void do_what_is_due();
  std::optional<time_point> next_due() const;
  std::vector<source> sources();
  void wait();
  bool all_ended() const;
  void happened();
  void show_status();
  std::string status_text() const;
  const child* a_ready_one() const;

  fleet_config config_;
  console& out_;
  int stop_fd_;
  owned_fd folder_watch_;
  std::vector<child> children_;
  std::unique_ptr<view_watch> views_; // On a terminal only.
  time_point view_due_{};
  time_point changed_{};
  bool told_up_ = false;
  bool stopping_ = false;
  bool killed_ = false;
  time_point stop_asked_{};
  time_point kill_at_{};
};

} // namespace skep::cli::cluster
