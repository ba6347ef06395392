#include "runtime/net/http_session_worker.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <ctime>

namespace skep::net {

namespace {

thread_local const http_worker* current_worker = nullptr;

/// Of the idle connections so many are looked at for one to close.
constexpr int idle_looked_at_max = 64;

/// RFC 9110 section 5.6.7; strftime's names follow the locale, these must not.
std::string format_date(std::time_t now) {
  constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* months[]
    = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&now, &utc);
  char tail[32];
  const auto size = std::strftime(tail, sizeof tail, " %Y %H:%M:%S GMT", &utc);
  char day[8];
  std::strftime(day, sizeof day, ", %d ", &utc);
  return std::string{days[utc.tm_wday]}.append(day).append(months[utc.tm_mon]).append(tail, size);
}

} // namespace

http_worker::http_worker(std::shared_ptr<http_shared> shared, int index)
  : shared_(std::move(shared)), index_(index), work_(context_.get_executor()) {
  date_second_ = std::time(nullptr);
  date_ = format_date(date_second_);
}

http_worker::~http_worker() = default;

bool http_worker::on_thread() const noexcept {
  return current_worker == this;
}

void http_worker::run() {
  current_worker = this;
  schedule_sweep();
  for (;;) {
    try {
      context_.run();
      break;
    } catch (...) {
      // A callback of the owner threw: it is his request that goes unanswered, not the server.
    }
  }
  finish();
  current_worker = nullptr;
}

bool http_worker::submit(const std::shared_ptr<http_session>& session, std::uint64_t number,
                         http_operation&& operation) {
  if (on_thread() && !inbox_busy_.load(std::memory_order_acquire)) {
    session->apply(number, std::move(operation));
    session->settle();
    return true;
  }
  bool wake = false;
  {
    const std::lock_guard lock{inbox_mutex_};
    if (inbox_closed_)
      return false;
    inbox_.push_back({session, number, std::move(operation)});
    wake = !inbox_busy_.exchange(true, std::memory_order_acq_rel);
  }
  if (wake)
    boost::asio::post(context_, [this] { serve_inbox(); });
  return true;
}

void http_worker::serve_inbox() {
  {
    const std::lock_guard lock{inbox_mutex_};
    batch_.swap(inbox_);
  }
  apply_batch();
  bool again = false;
  {
    const std::lock_guard lock{inbox_mutex_};
    again = !inbox_.empty();
    inbox_busy_.store(again, std::memory_order_release);
  }
  if (again)
    boost::asio::post(context_, [this] { serve_inbox(); });
}

/// All operations first, then one flush per session: many frames cost one system call.
void http_worker::apply_batch() {
  for (auto& item : batch_)
    item.session->apply(item.number, std::move(item.operation));
  for (auto& item : batch_)
    item.session->settle();
  batch_.clear();
}

void http_worker::adopt(boost::asio::ip::tcp::socket socket, http_place place) {
  if (ended_)
    return;
  const auto over = place.over();
  const bool refused = over != crowding::none && !give_up_idle(place);
  if (refused)
    count(over == crowding::address ? shared_->counters.address_refused
                                    : shared_->counters.refused);
  auto session
    = std::make_shared<http_session>(shared_from_this(), std::move(socket), std::move(place));
  session->slot = sessions_.size();
  sessions_.push_back(session);
  session->start(refused);
}

/// Each thread closes idle connections of its own: all have about as many.
bool http_worker::give_up_idle(const http_place& for_whom) {
  int looked_at = 0;
  for (auto& session : idle_) {
    if (++looked_at > idle_looked_at_max)
      return false;
    const bool fits
      = for_whom.over() == crowding::server || session.address() == for_whom.address();
    if (!fits || !session.is_quiet())
      continue;
    const auto kept = session.shared_from_this();
    kept->close();
    count(shared_->counters.idle_closed);
    return true;
  }
  return false;
}

void http_worker::remove(http_session& session) {
  const auto slot = session.slot;
  if (slot + 1 != sessions_.size()) {
    sessions_[slot] = std::move(sessions_.back());
    sessions_[slot]->slot = slot;
  }
  sessions_.pop_back();
}

void http_worker::notify(std::shared_ptr<http_session> session) noexcept {
  try {
    to_notify_.push_back(std::move(session));
    if (notifying_ || ended_)
      return;
    boost::asio::post(context_, [this] { run_notifications(); });
    notifying_ = true;
  } catch (...) {
    // No memory: the next sweep runs what is in the list.
  }
}

void http_worker::run_notifications() {
  auto sessions = std::exchange(to_notify_, {});
  notifying_ = false;
  for (auto& session : sessions)
    session->run_callbacks();
}

std::chrono::milliseconds http_worker::sweep_interval() const noexcept {
  const auto& c = config();
  const auto shortest
    = std::min({c.header_timeout, c.body_timeout, c.keepalive_timeout, c.write_timeout});
  return std::clamp(shortest / 8, std::chrono::milliseconds{5}, std::chrono::milliseconds{500});
}

void http_worker::schedule_sweep() {
  sweep_timer_.expires_after(sweep_interval());
  sweep_timer_.async_wait([this](const boost::system::error_code& ec) {
    if (ec || ended_)
      return;
    sweep();
    schedule_sweep();
  });
}

/// One pass over all connections instead of a timer each: 10,000 take about 0.1 ms.
void http_worker::sweep() {
  if (const auto second = std::time(nullptr); second != date_second_) {
    date_second_ = second;
    date_ = format_date(second);
  }
  if (!to_notify_.empty())
    run_notifications();
  const auto now = clock::now();
  // Backwards: remove() fills the gap with the last one, which was seen already.
  for (auto i = sessions_.size(); i-- > 0;) {
    const auto session = sessions_[i];
    session->sweep(now);
  }
}

void http_worker::drain() {
  draining_ = true;
  for (auto i = sessions_.size(); i-- > 0;) {
    const auto session = sessions_[i];
    session->drain();
  }
}

void http_worker::shut_down() {
  if (std::exchange(ended_, true))
    return;
  while (!sessions_.empty()) {
    const auto session = sessions_.back();
    session->close();
  }
  sweep_timer_.cancel();
  run_notifications();
  work_.reset();
}

/// Nothing runs any more; what was queued meanwhile is settled here, so that no callback is lost.
void http_worker::finish() {
  {
    const std::lock_guard lock{inbox_mutex_};
    inbox_closed_ = true;
    batch_.swap(inbox_);
    inbox_busy_ = true;
  }
  apply_batch();
  while (!to_notify_.empty())
    run_notifications();
}

} // namespace skep::net
