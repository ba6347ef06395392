#include "runtime/io/redis_connection.hpp"

#include "runtime/base/assert.hpp"

#include <fmt/format.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

namespace skep::io {

namespace {

/// Bytes hiredis keeps for reading between replies; more is given back to the heap.
constexpr std::size_t idle_buffer_max = std::size_t{256} << 10;
/// The headers around a reply that still lies in the buffer.
constexpr std::size_t framing_max = std::size_t{64} << 10;

/// A peer whose machine went away without a word is noticed within a minute, even when idle.
void keep_alive(int fd) {
  const auto set = [fd](int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof value); // Fails on Unix sockets, harmlessly.
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

} // namespace

struct redis_connection::hooks {
  static redis_connection& of(void* self) {
    return *static_cast<redis_connection*>(self);
  }
  static void add_read(void* self) {
    of(self).wanted_ |= EPOLLIN;
  }
  static void del_read(void* self) {
    of(self).wanted_ &= ~static_cast<std::uint32_t>(EPOLLIN);
  }
  static void add_write(void* self) {
    of(self).wanted_ |= EPOLLOUT;
  }
  static void del_write(void* self) {
    of(self).wanted_ &= ~static_cast<std::uint32_t>(EPOLLOUT);
  }
  static void cleanup(void* self) {
    of(self).gone();
  }
  static void on_connect(const redisAsyncContext* context, int status) {
    if (status == REDIS_OK)
      of(context->data).connected(); // Else hiredis calls cleanup next.
  }
  static void on_reply(redisAsyncContext*, void* reply, void* self) {
    if (reply != nullptr)
      of(self).reply_came(take_reply(reply)); // Else hiredis calls cleanup next.
  }
};

redis_connection::redis_connection(const redis_client_config& config, int epoll_fd,
                                   std::uint64_t number, redis_connection_owner& owner)
  : config_(config), epoll_fd_(epoll_fd), number_(number), owner_(owner) {
  reading_.bytes_max = config.reply_bytes_max;
  reading_.elements_max = config.reply_elements_max;
}

redis_connection::~redis_connection() {
  SKEP_ASSERT(context_ == nullptr);
}

void redis_connection::open(const std::string& address, time_point now) {
  SKEP_ASSERT(phase_ == phase::closed && context_ == nullptr);
  phase_ = phase::opening;
  open_until_ = now + config_.connect_timeout;
  closing_ = {};
  connected_ = false;
  wanted_ = watched_ = 0;
  greetings_ = reading_.awaited = 0;
  reading_.problem.clear();
  const auto& at = config_.endpoint;
  auto* made = at.socket.empty() ? redisAsyncConnect(address.c_str(), at.port)
                                 : redisAsyncConnectUnix(at.socket.c_str());
  SKEP_ASSERT(made != nullptr); // Null for want of memory only.
  context_ = made;
  made->data = this;
  if (made->err != 0) {
    closing_ = failure{errc::transport_failed,
                       fmt::format("Redis at {} cannot be reached: {}", at.name(), made->c.errstr)};
    redisAsyncFree(made); // Without the hooks it tells nobody.
    gone();
    return;
  }
  made->ev.data = this;
  made->ev.addRead = hooks::add_read;
  made->ev.delRead = hooks::del_read;
  made->ev.addWrite = hooks::add_write;
  made->ev.delWrite = hooks::del_write;
  made->ev.cleanup = hooks::cleanup;
  made->c.reader->maxbuf = idle_buffer_max;
  use_bounded_replies(*made->c.reader, reading_);
  keep_alive(made->c.fd);
  redisAsyncSetConnectCallback(made, hooks::on_connect);
  greet();
}

/// Written as soon as the connection stands.
void redis_connection::greet() {
  const auto& as = config_.endpoint;
  if (!as.password.empty())
    ask(as.user.empty() ? redis_args{"AUTH", as.password}
                        : redis_args{"AUTH", as.user, as.password});
  if (as.db != 0)
    ask({"SELECT", std::to_string(as.db)});
  ask({"PING"});
  greetings_ = reading_.awaited;
}

void redis_connection::ask(const redis_args& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  texts.reserve(words.size());
  sizes.reserve(words.size());
  for (const auto& each : words) {
    texts.push_back(each.data());
    sizes.push_back(each.size());
  }
  // Refused only while the context is being freed, and then there is no phase in which we ask.
  SKEP_ASSERT(redisAsyncCommandArgv(context_, hooks::on_reply, this, static_cast<int>(words.size()),
                                    texts.data(), sizes.data())
              == REDIS_OK);
  ++reading_.awaited;
}

void redis_connection::probe(time_point now) {
  SKEP_ASSERT(phase_ == phase::ready && sent_.empty() && greetings_ == 0);
  phase_ = phase::checking;
  open_until_ = now + config_.stall_max;
  ask({"PING"});
  greetings_ = 1;
}

void redis_connection::send(redis_batch_ptr batch) {
  SKEP_ASSERT(phase_ == phase::ready);
  for (auto& words : batch->requests)
    ask(words);
  batch->replies.reserve(batch->requests.size());
  sent_.push_back(std::move(batch));
}

void redis_connection::flush() {
  if (context_ == nullptr)
    return;
  // Most of the time the socket takes everything at once, and epoll need not be asked.
  if (connected_ && (wanted_ & EPOLLOUT) != 0 && (watched_ & EPOLLOUT) == 0)
    redisAsyncHandleWrite(context_);
  if (context_ != nullptr)
    watch();
}

void redis_connection::watch() {
  if (wanted_ == watched_)
    return;
  epoll_event event{};
  event.events = wanted_;
  event.data.u64 = number_;
  const int how = watched_ == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  SKEP_ASSERT(epoll_ctl(epoll_fd_, how, context_->c.fd, &event) == 0);
  watched_ = wanted_;
}

void redis_connection::on_events(std::uint32_t events) {
  if (context_ == nullptr)
    return;
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (!connected_ || (events & EPOLLOUT) != 0)
    redisAsyncHandleWrite(context_); // Also what finds out whether connecting worked.
  if (context_ != nullptr && connected_ && (broken || (events & EPOLLIN) != 0))
    redisAsyncHandleRead(context_);
  if (context_ == nullptr)
    return;
  const auto& reader = *context_->c.reader;
  if (reader.len - reader.pos > config_.reply_bytes_max + framing_max)
    close(failure{errc::transport_failed,
                  fmt::format("Redis at {} sent a reply longer than {} bytes",
                              config_.endpoint.name(), config_.reply_bytes_max)});
}

void redis_connection::connected() {
  connected_ = true;
}

void redis_connection::reply_came(redis_reply reply) {
  if (reading_.awaited > 0)
    --reading_.awaited;
  heard_at_ = clock::now();
  if (phase_ == phase::closed || closing_.code != errc::none)
    return; // On its way out.
  if (greetings_ > 0) {
    --greetings_;
    greeting_answered(reply);
    return;
  }
  SKEP_ASSERT(!sent_.empty());
  auto& first = *sent_.front();
  first.replies.push_back(std::move(reply));
  if (first.replies.size() < first.requests.size())
    return;
  auto whole = std::move(sent_.front());
  sent_.pop_front();
  owner_.answered(std::move(whole));
}

void redis_connection::greeting_answered(const redis_reply& reply) {
  if (reply.is(redis_reply::kind::error)) {
    close(failure_of(reply, config_.endpoint.name()));
    return;
  }
  if (greetings_ > 0)
    return;
  if (std::exchange(phase_, phase::ready) == phase::checking)
    owner_.proved(*this);
  else
    owner_.ready(*this);
}

std::optional<time_point> redis_connection::due() const {
  switch (phase_) {
    case phase::closed: return std::nullopt;
    case phase::opening:
    case phase::checking: return open_until_;
    case phase::ready: break;
  }
  if (sent_.empty())
    return std::nullopt;
  return sent_.front()->deadline + config_.stall_max;
}

void redis_connection::check(time_point now) {
  const auto at = due();
  if (!at || now < *at)
    return;
  const auto limit = phase_ == phase::opening ? config_.connect_timeout : config_.stall_max;
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  const auto* what = phase_ == phase::opening    ? "no greeting within"
                     : phase_ == phase::checking ? "no PONG within"
                                                 : "over a deadline by";
  close(failure{errc::transport_failed, fmt::format("Redis at {} does not answer: {} {} ms",
                                                    config_.endpoint.name(), what, ms)});
}

void redis_connection::close(failure why) {
  if (context_ == nullptr || closing_.code != errc::none)
    return;
  closing_ = std::move(why);
  redisAsyncFree(context_); // Within a reply's callback it only takes note and ends it after.
}

/// hiredis is about to free the context, or has.
void redis_connection::gone() {
  if (closing_.code == errc::none) {
    std::string said = reading_.problem;
    if (said.empty())
      said = context_->c.err != 0 ? context_->c.errstr : "it closed the connection";
    const auto* what = phase_ == phase::opening ? "cannot be reached" : "broke the connection";
    closing_ = failure{errc::transport_failed,
                       fmt::format("Redis at {} {}: {}", config_.endpoint.name(), what, said)};
  }
  if (watched_ != 0)
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, context_->c.fd, nullptr);
  watched_ = wanted_ = 0;
  context_ = nullptr;
  connected_ = false;
  reading_.awaited = 0;
  const bool worked = phase_ == phase::ready;
  phase_ = phase::closed;
  owner_.lost(*this, std::exchange(closing_, {}),
              worked ? std::exchange(sent_, {}) : std::deque<redis_batch_ptr>{});
}

} // namespace skep::io
