#include "runtime/net/fetch_loop.hpp"

#include "runtime/base/assert.hpp"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

namespace skep::net {

namespace {

/// Sockets looked at per round; more than this wait for the next one, none is forgotten.
constexpr int events_max = 256;

void init_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] { SKEP_ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); });
}

CURLSH* make_share() {
  init_curl_once();
  CURLSH* share = curl_share_init();
  SKEP_ASSERT(share != nullptr);
  // One thread uses it, so it needs no locks. It lets a new connection resume a TLS session.
  curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  return share;
}

} // namespace

fetch_loop::fetch_loop(const fetch_config& config, fetch_inbox& inbox, fetch_pool_book& book)
  : config_(config), inbox_(inbox), epoll_fd_(epoll_create1(EPOLL_CLOEXEC)), share_(make_share()),
    multi_(nullptr), pools_(config, book) {
  SKEP_ASSERT(epoll_fd_ >= 0);
  epoll_event wake{};
  wake.events = EPOLLIN;
  wake.data.fd = inbox_.wake_fd();
  SKEP_ASSERT(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, inbox_.wake_fd(), &wake) == 0);
  open_multi();
}

void fetch_loop::open_multi() {
  multi_ = curl_multi_init();
  SKEP_ASSERT(multi_ != nullptr);
  const auto set = [this](CURLMoption option, auto value) {
    SKEP_ASSERT(curl_multi_setopt(multi_, option, value) == CURLM_OK);
  };
  set(CURLMOPT_SOCKETFUNCTION, &socket_entry);
  set(CURLMOPT_SOCKETDATA, this);
  set(CURLMOPT_TIMERFUNCTION, &timer_entry);
  set(CURLMOPT_TIMERDATA, this);
  set(CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(config_.connections_max));
  set(CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(config_.connections_per_host_max));
  set(CURLMOPT_MAX_CONCURRENT_STREAMS, static_cast<long>(config_.http2_streams_max));
  set(CURLMOPT_MAXCONNECTS, static_cast<long>(config_.connections_max));
}

fetch_loop::~fetch_loop() {
  SKEP_ASSERT(transfers_.empty());
  curl_multi_cleanup(multi_);
  curl_share_cleanup(share_);
  ::close(epoll_fd_);
}

void fetch_loop::run() {
  for (;;) {
    fetch_commands commands = inbox_.take();
    const bool stopping = commands.stopping;
    obey(std::move(commands));
    if (stopping)
      break;
    run_due_timer();
    collect_ended();
    check_deadlines();
    seat_waiting();
    close_idle();
    wait_for_events();
    collect_ended();
  }
  end_all();
}

int fetch_loop::socket_entry(CURL*, int fd, int what, void* self, void* known) {
  static_cast<fetch_loop*>(self)->on_socket(fd, what, known != nullptr);
  return 0;
}

int fetch_loop::timer_entry(CURLM*, long timeout_ms, void* self) {
  auto& due = static_cast<fetch_loop*>(self)->curl_due_;
  due.reset();
  if (timeout_ms >= 0)
    due = clock::now() + std::chrono::milliseconds{timeout_ms};
  return 0;
}

void fetch_loop::on_socket(int fd, int what, bool known) {
  if (what == CURL_POLL_REMOVE) {
    // The socket may be closed already, and then epoll has forgotten it by itself.
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    return;
  }
  epoll_event event{};
  event.data.fd = fd;
  if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
    event.events |= EPOLLIN;
  if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
    event.events |= EPOLLOUT;
  const int first = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  const int second = known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  // A number closed and opened again between two calls is known here and new to epoll, or the other
  // way round.
  if (epoll_ctl(epoll_fd_, first, fd, &event) != 0)
    epoll_ctl(epoll_fd_, second, fd, &event);
  if (!known)
    curl_multi_assign(multi_, fd, this);
}

int fetch_loop::wait_ms() const {
  std::optional<time_point> at = deadlines_.next();
  for (const auto& other : {curl_due_, pools_.due(), close_idle_at_})
    if (other && (!at || *other < *at))
      at = other;
  if (!at)
    return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*at - clock::now()).count();
  // A minute at most, so that the figure fits; the loop then just looks again.
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, 60'000));
}

void fetch_loop::wait_for_events() {
  std::array<epoll_event, events_max> events;
  const int n = epoll_wait(epoll_fd_, events.data(), events_max, wait_ms());
  SKEP_ASSERT(n >= 0 || errno == EINTR);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == inbox_.wake_fd())
      continue;
    int flags = 0;
    if ((event.events & EPOLLIN) != 0)
      flags |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0)
      flags |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0)
      flags |= CURL_CSELECT_ERR;
    act(event.data.fd, flags);
  }
}

void fetch_loop::act(int fd, int flags) {
  int running = 0;
  SKEP_ASSERT(curl_multi_socket_action(multi_, fd, flags, &running) == CURLM_OK);
}

void fetch_loop::run_due_timer() {
  if (!curl_due_ || *curl_due_ > clock::now())
    return;
  curl_due_.reset();
  act(CURL_SOCKET_TIMEOUT, 0);
}

void fetch_loop::obey(fetch_commands commands) {
  for (auto& transfer : commands.starts)
    begin(std::move(transfer));
  for (const fetch_control& command : commands.controls)
    control(command);
}

void fetch_loop::begin(std::unique_ptr<fetch_transfer> transfer) {
  const fetch_id id = transfer->id();
  entry& added = transfers_.emplace(id, entry{std::move(transfer), {}}).first->second;
  close_idle_at_.reset();
  if (auto ready = added.transfer->prepare(config_, share_, deadlines_); !ready) {
    end(id, added.transfer->result_of(fetch_error::invalid_request, ready.error().detail));
    return;
  }
  if (pools_.enter(id, host_of(added.transfer->url()), added.seat, clock::now()))
    send_out(*added.transfer);
}

void fetch_loop::send_out(fetch_transfer& transfer) {
  // Connects nothing yet: libcurl sets its timer to now and acts in run_due_timer.
  SKEP_ASSERT(curl_multi_add_handle(multi_, transfer.easy()) == CURLM_OK);
}

void fetch_loop::seat_waiting() {
  const time_point now = clock::now();
  pools_.tick(now);
  while (const auto id = pools_.next_ready()) {
    entry& next = transfers_.at(*id);
    pools_.seated(next.seat, now);
    send_out(*next.transfer);
  }
}

void fetch_loop::close_idle() {
  if (!close_idle_at_ || clock::now() < *close_idle_at_)
    return;
  SKEP_ASSERT(transfers_.empty());
  close_idle_at_.reset();
  curl_due_.reset();
  curl_multi_cleanup(multi_);
  open_multi();
}

void fetch_loop::control(const fetch_control& command) {
  const auto it = transfers_.find(command.id);
  if (it == transfers_.end())
    return;
  fetch_transfer& transfer = *it->second.transfer;
  if (command.cancelled) {
    end(command.id, transfer.result_of(fetch_error::cancelled, "the caller cancelled it"));
    return;
  }
  int code = 0;
  if (!transfer.grant(command.credit, code))
    end(command.id, transfer.result_of(code));
}

void fetch_loop::collect_ended() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE)
      continue;
    const CURLcode code = message->data.result;
    char* self = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    // The message is gone once the handle leaves the multi handle, so `code` is a copy.
    auto* transfer = static_cast<fetch_transfer*>(static_cast<void*>(self));
    end(transfer->id(), transfer->result_of(code));
  }
}

void fetch_loop::check_deadlines() {
  const time_point now = clock::now();
  while (const auto id = deadlines_.due(now)) {
    fetch_transfer& transfer = *transfers_.at(*id).transfer;
    const fetch_error error = transfer.check_deadline(now);
    if (error != fetch_error::none)
      end(*id, transfer.result_of(error, "the provider took too long"));
  }
}

void fetch_loop::end_all() {
  while (!transfers_.empty()) {
    auto& [id, each] = *transfers_.begin();
    end(id, each.transfer->result_of(fetch_error::shutdown, "the HTTP client was closed"));
  }
}

void fetch_loop::end(fetch_id id, fetch_result result) {
  const auto node = transfers_.extract(id);
  fetch_transfer& transfer = *node.mapped().transfer;
  fetch_seat& seat = node.mapped().seat;
  if (seat.pool != nullptr && transfer.shun_connection(result.error))
    seat.pool->meters.evicted.inc();
  // An unfinished HTTP/1.1 transfer takes its connection with it: the provider sees it close.
  if (transfer.easy() != nullptr && !seat.waiting)
    curl_multi_remove_handle(multi_, transfer.easy());
  const time_point now = clock::now();
  pools_.leave(seat, result.version == http_version::http_2, now);
  if (transfers_.empty())
    close_idle_at_ = now + config_.connection_idle_ttl;
  inbox_.close(id);
  transfer.finish(std::move(result));
}

} // namespace skep::net
