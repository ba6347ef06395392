#include "cli/cluster/fleet.hpp"

#include "cli/cluster/view_watch.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

namespace skep::cli::cluster {

namespace {

/// How often a ready node is asked for its view, for the status line: often after something
/// happened, seldom else, because every question is a line in that node's log.
constexpr duration view_pause = 1s;
constexpr duration view_pause_settled = 15s;
constexpr duration settled_after = 10s;
/// Of 64 KiB each, which is a pipe's size unless somebody changed it.
constexpr int last_reads_max = 8;
/// `skep run` ends with this when its configuration is wrong: starting again would not help.
constexpr int exit_configuration = 2;
/// timeout(1) and service managers signal the process and then its whole group: what comes this
/// close together is one request.
constexpr duration same_request = 200ms;

/// What a node wrote into its ready file: where clients come, and where operators do.
struct ready_endpoints {
  std::string clients;
  std::string operations;
};

ready_endpoints read_ready_file(const std::string& path) {
  std::ifstream in{path};
  std::string clients;
  std::string operations;
  std::getline(in, clients);
  if (!std::getline(in, operations))
    operations = clients;
  return {"http://" + clients, "http://" + operations};
}

/// Milliseconds for poll(), rounded up so that what is due is due when it returns.
int poll_timeout(std::optional<time_point> due) {
  if (!due)
    return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

} // namespace

struct fleet::child {
  fleet_member member;
  std::size_t index = 0;
  std::optional<child_process> process;
  std::array<line_splitter, 2> lines;
  fleet::phase phase = fleet::phase::ended;
  /// Where it listens; empty before it is ready.
  std::string endpoint;
  std::string operations;
  bool well = false;
  time_point started{};
  time_point restart_at{};
  duration backoff{};
};

struct fleet::source {
  int fd;
  std::function<void()> ready;
};

fleet::fleet(fleet_config config, console& out, int stop_fd)
  : config_(std::move(config)), out_(out), stop_fd_(stop_fd),
    folder_watch_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  inotify_add_watch(folder_watch_.get(), config_.ready_folder.c_str(),
                    IN_MOVED_TO | IN_CLOSE_WRITE);
  for (const auto& member : config_.members) {
    child one;
    one.member = member;
    one.index = children_.size();
    one.backoff = config_.backoff_min;
    children_.push_back(std::move(one));
  }
  if (out_.terminal())
    views_ = std::make_unique<view_watch>();
}

fleet::~fleet() = default;

bool fleet::run() {
  if (!folder_watch_) {
    out_.event(std::string{"cannot watch for ready nodes: inotify: "} + std::strerror(errno));
    return false;
  }
  for (auto& one : children_)
    start(one);
  while (!all_ended()) {
    show_status();
    wait();
    do_what_is_due();
  }
  out_.status("");
  return std::all_of(children_.begin(), children_.end(), [](const child& one) { return one.well; });
}

void fleet::start(child& one) {
  std::error_code ignored;
  std::filesystem::remove(one.member.ready_file, ignored);
  one.endpoint.clear();
  one.operations.clear();
  one.well = false;
  one.started = clock::now();
  auto process = child_process::start(one.member.command, one.member.variables);
  if (!process) {
    one.phase = phase::ended;
    out_.event(one.member.name + ": " + process.error().detail);
    return;
  }
  one.phase = phase::starting;
  one.process.emplace(std::move(*process));
}

// -- What comes -----------------------------------------------------------------------------------

void fleet::came_out(child& one, std::size_t stream) {
  const auto take = [&](std::string_view line) { out_.line(one.index, line); };
  std::array<char, 65'536> buffer;
  const auto got = read(one.process->output_fd(stream), buffer.data(), buffer.size());
  if (got > 0) {
    one.lines[stream].push({buffer.data(), static_cast<std::size_t>(got)}, take);
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    one.lines[stream].finish(take);
    one.process->close_output(stream);
  }
}

void fleet::ended(child& one) {
  const auto end = one.process->reap();
  // What it wrote last: a full pipe and its end. Processes of its own may hold the pipe open and
  // write on.
  for (std::size_t stream = 0; stream < one.lines.size(); ++stream) {
    pollfd rest{one.process->output_fd(stream), POLLIN, 0};
    for (int reads = 0; reads < last_reads_max && rest.fd >= 0 && poll(&rest, 1, 0) > 0; ++reads) {
      came_out(one, stream);
      rest.fd = one.process->output_fd(stream);
    }
    one.lines[stream].finish([&](std::string_view line) { out_.line(one.index, line); });
  }
  one.process.reset();
  one.well = ended_well(one, end);
  one.phase = phase::ended;
  happened();
  if (!stopping_ && config_.restart && !one.well && end.code != exit_configuration)
    plan_restart(one, end);
  else
    out_.event(
      fmt::format("{} {} ({})", one.member.name, stopping_ ? "ended" : "exited", end.text()));
}

bool fleet::ended_well(const child& one, const process_end& end) const {
  // Told to end before it could listen to signals.
  const bool early = stopping_ && one.endpoint.empty() && end.signal == SIGTERM;
  return end.code == 0 || early;
}

void fleet::plan_restart(child& one, const process_end& end) {
  const auto now = clock::now();
  if (now - one.started >= config_.backoff_max)
    one.backoff = config_.backoff_min;
  one.phase = phase::waiting;
  one.restart_at = now + one.backoff;
  out_.event(
    fmt::format("{} exited ({}); starting again in {} ms", one.member.name, end.text(),
                std::chrono::duration_cast<std::chrono::milliseconds>(one.backoff).count()));
  one.backoff = std::min(2 * one.backoff, config_.backoff_max);
}

void fleet::look_for_ready() {
  alignas(inotify_event) std::array<char, 4'096> events;
  while (read(folder_watch_.get(), events.data(), events.size()) > 0) {
  }
  for (auto& one : children_) {
    if (one.phase != phase::starting || !std::filesystem::exists(one.member.ready_file))
      continue;
    one.phase = phase::ready;
    auto [clients, operations] = read_ready_file(one.member.ready_file);
    one.endpoint = std::move(clients);
    one.operations = std::move(operations);
    out_.event(
      fmt::format("{} ready on {} (pid {})", one.member.name, one.endpoint, one.process->pid()));
  }
  const bool all = std::all_of(children_.begin(), children_.end(),
                               [](const child& one) { return one.phase == phase::ready; });
  happened();
  if (!all || told_up_)
    return;
  told_up_ = true;
  auto text = fmt::format("up, {} node{}:", children_.size(), children_.size() == 1 ? "" : "s");
  for (const auto& one : children_)
    text += ' ' + one.endpoint;
  out_.event(text);
}

void fleet::stop_requested() {
  // A signalfd hands out one structure of this size a read; a pipe gives what is there.
  std::array<char, 128> request;
  while (read(stop_fd_, request.data(), request.size()) > 0) {
    const auto now = clock::now();
    if (stopping_) {
      if (now - stop_asked_ > same_request)
        kill_all("asked again to stop; killing what still runs");
      continue;
    }
    stopping_ = true;
    stop_asked_ = now;
    duration longest{};
    for (auto& one : children_) {
      longest = std::max(longest, one.member.stop_timeout);
      if (one.phase == phase::waiting)
        one.phase = phase::ended;
      if (!one.process)
        continue;
      one.phase = phase::stopping;
      one.process->send_signal(SIGTERM);
    }
    kill_at_ = now + longest;
    out_.event("stopping; a second signal kills");
  }
}

void fleet::kill_all(std::string_view why) {
  if (std::exchange(killed_, true))
    return;
  out_.event(why);
  for (const auto& one : children_)
    if (one.process)
      one.process->send_signal(SIGKILL);
}

// -- Waiting --------------------------------------------------------------------------------------

std::vector<fleet::source> fleet::sources() {
  std::vector<source> all{{stop_fd_, [this] { stop_requested(); }},
                          {folder_watch_.get(), [this] { look_for_ready(); }}};
  if (views_)
    all.push_back({views_->fd(), [this] { views_->take(); }});
  for (auto& one : children_) {
    if (!one.process)
      continue;
    for (std::size_t stream = 0; stream < one.lines.size(); ++stream)
      if (one.process->output_fd(stream) >= 0)
        all.push_back({one.process->output_fd(stream), [&, stream] { came_out(one, stream); }});
    // After its output, so that this runs last of the child's.
    all.push_back({one.process->exit_fd(), [&] { ended(one); }});
  }
  return all;
}

void fleet::wait() {
  auto all = sources();
  std::vector<pollfd> polled;
  for (const auto& each : all)
    polled.push_back({each.fd, POLLIN, 0});
  if (poll(polled.data(), polled.size(), poll_timeout(next_due())) <= 0)
    return;
  for (std::size_t n = 0; n < all.size(); ++n)
    if (polled[n].revents != 0)
      all[n].ready();
}

std::optional<time_point> fleet::next_due() const {
  std::optional<time_point> due;
  const auto consider = [&](time_point at) { due = due ? std::min(*due, at) : at; };
  for (const auto& one : children_)
    if (one.phase == phase::waiting)
      consider(one.restart_at);
  if (stopping_ && !killed_)
    consider(kill_at_);
  if (views_ && !stopping_ && a_ready_one() != nullptr)
    consider(view_due_);
  return due;
}

void fleet::do_what_is_due() {
  const auto now = clock::now();
  for (auto& one : children_)
    if (one.phase == phase::waiting && one.restart_at <= now)
      start(one);
  if (stopping_ && kill_at_ <= now)
    kill_all("took too long to stop; killing what still runs");
  const auto* asked = a_ready_one();
  if (views_ && asked != nullptr && view_due_ <= now) {
    view_due_ = now + (now - changed_ < settled_after ? view_pause : view_pause_settled);
    views_->ask(asked->operations);
  }
}

bool fleet::all_ended() const {
  return std::all_of(children_.begin(), children_.end(),
                     [](const child& one) { return one.phase == phase::ended; });
}

// -- The status line ------------------------------------------------------------------------------

void fleet::happened() {
  changed_ = clock::now();
  view_due_ = changed_;
}

const fleet::child* fleet::a_ready_one() const {
  const auto found = std::find_if(children_.begin(), children_.end(),
                                  [](const child& one) { return one.phase == phase::ready; });
  return found != children_.end() ? &*found : nullptr;
}

std::string fleet::status_text() const {
  const auto ready = std::count_if(children_.begin(), children_.end(),
                                   [](const child& one) { return one.phase == phase::ready; });
  auto text = fmt::format("{}/{} ready", ready, children_.size());
  if (views_ && !views_->standing().empty() && ready > 0)
    text += " · " + views_->standing();
  for (const auto& one : children_) {
    switch (one.phase) {
      case phase::ready: break;
      case phase::starting: text += " · " + one.member.name + ": starting"; break;
      case phase::stopping: text += " · " + one.member.name + ": stopping"; break;
      case phase::waiting: text += " · " + one.member.name + ": restarting"; break;
      case phase::ended: text += " · " + one.member.name + ": ended"; break;
    }
  }
  return text;
}

void fleet::show_status() {
  if (out_.terminal())
    out_.status(status_text());
}

} // namespace skep::cli::cluster
