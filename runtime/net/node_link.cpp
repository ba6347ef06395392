#include "runtime/net/node_link.hpp"

#include "runtime/base/log.hpp"
#include "runtime/net/link_keys.hpp"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace skep::net {

namespace {

// Frames taken from the ROUTER before what goes out gets its turn.
constexpr int frames_per_round = 256;
// How soon a peer whose pipe is full is tried again.
constexpr std::chrono::milliseconds full_pipe_pause{1};
constexpr std::chrono::milliseconds snapshot_gap{50};
// How long the end waits for what is queued, and then for the goodbyes to leave.
constexpr duration drain_max = 1s;
constexpr int goodbye_linger_ms = 200;
// Bodies up to this size are copied into the message: cheaper than another thread's free().
constexpr std::size_t copy_bytes_max = 4096;
// In frames. A peer has few hundred under way at most (link_sender), so honest ones never fill it.
constexpr int send_frames_max = 1024;
constexpr int receive_frames_max = 256;
constexpr int reconnect_ms = 50;
constexpr int reconnect_max_ms = 1000;
constexpr int handshake_ms = 5000;
constexpr int connect_ms = 2000;
// Nothing ever comes back through a DEALER.
constexpr std::int64_t dealer_bytes_max = 1024;
// What a frame may need beyond the largest record: its head, a hello's list of messages.
constexpr std::size_t frame_slack_bytes = std::size_t{64} << 10;

#ifdef __SANITIZE_THREAD__
/// libzmq is not built with ThreadSanitizer, so whoever reads its buffers seems to race with its
/// threads. Only this copy goes unseen, not what happens to the bytes; volatile keeps it from
/// becoming a memcpy, which would be seen.
[[gnu::noinline, gnu::no_sanitize_thread]] void copy_unseen(const volatile char* from,
                                                            std::size_t size, char* to) {
  for (std::size_t n = 0; n < size; ++n)
    to[n] = from[n];
}
#endif

/// A message part that is closed at the end of the scope.
struct part {
  part() {
    zmq_msg_init(&it);
  }
  ~part() {
    zmq_msg_close(&it);
  }
  part(const part&) = delete;
  part& operator=(const part&) = delete;
  std::string_view bytes() {
    const std::string_view raw{static_cast<const char*>(zmq_msg_data(&it)), zmq_msg_size(&it)};
#ifdef __SANITIZE_THREAD__
    copy.resize(raw.size());
    copy_unseen(raw.data(), raw.size(), copy.data());
    return copy;
#else
    return raw;
#endif
  }
  zmq_msg_t it;
#ifdef __SANITIZE_THREAD__
  std::string copy;
#endif
};

std::string scheme_of(const std::string& address) {
  return address.substr(0, address.find("://"));
}

/// Called on libzmq's thread when a body has left.
void release_body(void*, void* hint) {
  delete static_cast<frame_body*>(hint);
}

} // namespace

struct node_link::impl {
  struct dealer {
    zmq::socket_t socket;
    bool said_goodbye = false;
  };

  impl(link_config c, link_events& e) : config(std::move(c)), events(e) {}
  ~impl() {
    if (wake_fd >= 0)
      close(wake_fd);
  }

  void listen();
  void run();
  void round(bool& more, bool& full);
  bool receive();
  bool receive_frame();
  void run_tasks();
  bool drained() const;
  void sleep(bool full);
  void wake();
  void publish(time_point now);
  void say_goodbye();

  link_config config;
  link_events& events;
  int wake_fd = -1;
  std::string endpoint;
  // The sockets are used by the link's thread only, once it runs.
  zmq::context_t context{1};
  std::unique_ptr<zap_authenticator> authenticator; // Null without keys.
  zmq::socket_t router;
  std::unordered_map<link_peer_id, dealer> dealers;
  std::unique_ptr<link_core> core;
  std::uint64_t malformed = 0;
  time_point published{};
  bool dirty = false;

  std::atomic<bool> asleep{false};
  std::atomic<bool> stopping{false};
  std::atomic<bool> tasks_wait{false};
  mutable std::mutex mutex; // Guards what follows.
  std::vector<std::function<void(link_core&)>> tasks;
  link_stats stats;
  std::vector<link_peer_stats> peers;
  std::thread thread;
};

// -- start and end --------------------------------------------------------------------------------

void node_link::impl::listen() {
  // libzmq connects a handshake to the ZAP socket, which therefore comes first.
  if (authenticator && !authenticator->open(context.handle()))
    throw zmq::error_t{};
  router = zmq::socket_t{context, zmq::socket_type::router};
  if (authenticator && !authenticator->guard(router.handle()))
    throw zmq::error_t{};
  router.set(zmq::sockopt::linger, 0);
  router.set(zmq::sockopt::rcvhwm, receive_frames_max);
  router.set(zmq::sockopt::handshake_ivl, handshake_ms);
  router.set(
    zmq::sockopt::maxmsgsize,
    static_cast<std::int64_t>(std::max(config.frame_bytes, fragment_bytes) + frame_slack_bytes));
  router.bind(config.bind);
  endpoint = router.get(zmq::sockopt::last_endpoint);
}

expected<std::unique_ptr<node_link>> node_link::start(link_config config, link_keys keys,
                                                      link_events& events) try {
  const auto bind = config.bind;
  auto state = std::make_unique<impl>(std::move(config), events);
  if (!keys.public_key.empty() || !keys.secret_key.empty() || !keys.allowed.empty()) {
    auto authenticator = zap_authenticator::make(std::move(keys));
    if (!authenticator)
      return fail(authenticator.error());
    state->authenticator = std::move(*authenticator);
  }
  state->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (state->wake_fd < 0)
    return fail(errc::transport_failed, std::string{"link: eventfd: "} + std::strerror(errno));
  try {
    state->listen();
  } catch (const zmq::error_t& e) {
    return fail(errc::transport_failed, "link: cannot listen at " + bind + ": " + e.what());
  }
  std::unique_ptr<node_link> link{new node_link{std::move(state)}};
  auto& m = *link->impl_;
  link_socket& socket = *link;
  m.core = std::make_unique<link_core>(m.config, socket, events, [&m] { m.wake(); });
  m.core->set_advertised(m.config.advertise.empty() ? m.endpoint : m.config.advertise);
  m.thread = std::thread{[&m] {
    try {
      m.run();
    } catch (const std::exception& e) {
      log::error("link: the thread ended: {}", e.what());
    }
  }};
  return link;
} catch (const std::exception& e) {
  return fail(errc::transport_failed, std::string{"link: cannot start: "} + e.what());
}

node_link::node_link(std::unique_ptr<impl> state) : impl_(std::move(state)) {}

node_link::~node_link() {
  impl_->stopping.store(true);
  impl_->wake();
  if (impl_->thread.joinable())
    impl_->thread.join();
}

const std::string& node_link::endpoint() const {
  return impl_->endpoint;
}

void node_link::post(std::function<void(link_core&)> task) {
  {
    const std::lock_guard guard{impl_->mutex};
    impl_->tasks.push_back(std::move(task));
  }
  impl_->tasks_wait.store(true);
  impl_->wake();
}

link_stats node_link::stats() const {
  const std::lock_guard guard{impl_->mutex};
  return impl_->stats;
}

std::vector<link_peer_stats> node_link::peers() const {
  const std::lock_guard guard{impl_->mutex};
  return impl_->peers;
}

// -- the thread -----------------------------------------------------------------------------------

void node_link::impl::run() {
  std::optional<time_point> stop_by;
  for (;;) {
    bool more = false;
    bool full = false;
    round(more, full);
    if (stopping.load(std::memory_order_relaxed)) {
      if (!stop_by)
        stop_by = clock::now() + drain_max;
      if ((!full && drained()) || clock::now() >= *stop_by)
        break;
    }
    if (!more)
      sleep(full);
  }
  say_goodbye();
}

void node_link::impl::round(bool& more, bool& full) {
  if (tasks_wait.load(std::memory_order_relaxed))
    run_tasks();
  if (authenticator)
    authenticator->answer_all();
  more = receive();
  const auto now = clock::now();
  if (core->next_tick() <= now)
    core->tick(now);
  full = !core->flush(now);
  dirty = dirty || more;
  if (now - published >= snapshot_gap)
    publish(now);
}

void node_link::impl::run_tasks() {
  tasks_wait.store(false);
  std::vector<std::function<void(link_core&)>> now;
  {
    const std::lock_guard guard{mutex};
    now.swap(tasks);
  }
  for (const auto& task : now)
    task(*core);
  dirty = true;
}

/// Nothing waits in an outbox any more.
bool node_link::impl::drained() const {
  const auto all = core->peers();
  return std::all_of(all.begin(), all.end(),
                     [](const auto& each) { return each.queued_messages == 0; });
}

/// Waits for a frame, a wake-up, or the next tick.
void node_link::impl::sleep(bool full) {
  // Pairs with the exchange in wake(): either that one sees us asleep, or this one reads what it
  // wrote, and so we see what was queued before.
  asleep.exchange(true);
  const bool busy
    = tasks_wait.load() || (!full && core->waiting()) || (stopping.load() && !full && drained());
  auto timeout = std::chrono::milliseconds{0};
  if (!busy) {
    timeout = std::chrono::ceil<std::chrono::milliseconds>(core->next_tick() - clock::now());
    timeout = std::clamp(timeout, std::chrono::milliseconds{0},
                         full ? full_pipe_pause : snapshot_gap * (dirty ? 1 : 100));
  }
  std::array<zmq_pollitem_t, 3> items{
    {{router.handle(), 0, ZMQ_POLLIN, 0},
     {nullptr, wake_fd, ZMQ_POLLIN, 0},
     {authenticator ? authenticator->socket() : nullptr, 0, ZMQ_POLLIN, 0}}};
  zmq_poll(items.data(), authenticator ? 3 : 2, timeout.count());
  asleep.store(false, std::memory_order_relaxed);
  if ((items[1].revents & ZMQ_POLLIN) != 0) {
    std::uint64_t ignored = 0;
    [[maybe_unused]] const auto got = read(wake_fd, &ignored, sizeof(ignored));
  }
}

/// From any thread: ends sleep(), now or before it begins.
void node_link::impl::wake() {
  if (!asleep.exchange(false))
    return;
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const auto written = write(wake_fd, &one, sizeof(one));
}

void node_link::impl::publish(time_point now) {
  auto fresh = core->stats();
  fresh.malformed += malformed;
  auto all = core->peers();
  published = now;
  dirty = false;
  const std::lock_guard guard{mutex};
  stats = fresh;
  peers = std::move(all);
}

void node_link::impl::say_goodbye() {
  core->goodbye(clock::now());
  for (auto& [id, each] : dealers)
    if (each.said_goodbye)
      each.socket.set(zmq::sockopt::linger, goodbye_linger_ms);
  dealers.clear();
  publish(clock::now());
}

/// True when more may wait.
bool node_link::impl::receive() {
  for (int n = 0; n < frames_per_round; ++n) {
    if (!receive_frame())
      return false;
    dirty = true;
  }
  return true;
}

/// Takes one message from the ROUTER: the identity libzmq gave the sender, head, body. Whatever has
/// another number of parts is none of ours.
bool node_link::impl::receive_frame() {
  part identity;
  if (zmq_msg_recv(&identity.it, router.handle(), ZMQ_DONTWAIT) < 0)
    return false;
  part head;
  part body;
  int parts = 0;
  bool more = zmq_msg_more(&identity.it) != 0;
  while (more) {
    part further;
    auto& next = parts == 0 ? head : parts == 1 ? body : further;
    if (zmq_msg_recv(&next.it, router.handle(), ZMQ_DONTWAIT) < 0)
      break;
    ++parts;
    more = zmq_msg_more(&next.it) != 0;
  }
  if (parts != 2) {
    ++malformed;
    return true;
  }
  std::string_view key_name;
  if (authenticator) {
    const char* name = zmq_msg_gets(&head.it, "User-Id");
    if (name == nullptr || *name == '\0') {
      ++malformed;
      return true;
    }
    key_name = name;
  }
  core->frame_came(head.bytes(), body.bytes(), key_name, clock::now());
  return true;
}

// -- what the core asks for, on the link's thread -------------------------------------------------

expected<void> node_link::connect(link_peer_id peer, const std::string& name,
                                  const std::string& address) try {
  // Strangers say where they are, so they must not choose the kind of transport.
  if (scheme_of(address) != scheme_of(impl_->config.bind))
    return fail(errc::bad_config, "link: node " + name + " at " + address + ": only "
                                    + scheme_of(impl_->config.bind) + ":// addresses here");
  zmq::socket_t socket{impl_->context, zmq::socket_type::dealer};
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::sndtimeo, 0);
  socket.set(zmq::sockopt::sndhwm, send_frames_max);
  socket.set(zmq::sockopt::rcvhwm, 1);
  socket.set(zmq::sockopt::maxmsgsize, dealer_bytes_max);
  socket.set(zmq::sockopt::reconnect_ivl, reconnect_ms);
  socket.set(zmq::sockopt::reconnect_ivl_max, reconnect_max_ms);
  socket.set(zmq::sockopt::handshake_ivl, handshake_ms);
  socket.set(zmq::sockopt::connect_timeout, connect_ms);
  if (impl_->authenticator)
    if (auto aimed = impl_->authenticator->aim(socket.handle(), name); !aimed)
      return aimed;
  socket.connect(address);
  impl_->dealers.insert_or_assign(peer, impl::dealer{std::move(socket)});
  return {};
} catch (const zmq::error_t& e) {
  return fail(errc::bad_config,
              "link: cannot connect to node " + name + " at " + address + ": " + e.what());
}

void node_link::disconnect(link_peer_id peer) {
  const auto entry = impl_->dealers.find(peer);
  if (entry == impl_->dealers.end())
    return;
  // Last words leave although the socket goes.
  if (entry->second.said_goodbye)
    entry->second.socket.set(zmq::sockopt::linger, goodbye_linger_ms);
  impl_->dealers.erase(entry);
}

bool node_link::send(link_peer_id peer, const frame_head& head, const frame_body& body) {
  const auto entry = impl_->dealers.find(peer);
  if (entry == impl_->dealers.end())
    return false;
  auto* socket = entry->second.socket.handle();
  const auto bytes = encode_head(head);
  if (zmq_send(socket, bytes.data(), bytes.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
    return false;
  entry->second.said_goodbye = head.kind == frame_kind::goodbye;
  if (!body || body->size() <= copy_bytes_max)
    return zmq_send(socket, body ? body->data() : "", body ? body->size() : 0, ZMQ_DONTWAIT) >= 0;
  part out;
  auto* held = new frame_body{body};
  // libzmq only reads it: other sendings of the same body may be under way.
  if (zmq_msg_init_data(&out.it, const_cast<char*>(body->data()), body->size(), release_body, held)
      != 0) {
    delete held;
    zmq_msg_init(&out.it);
    return false;
  }
  return zmq_msg_send(&out.it, socket, ZMQ_DONTWAIT) >= 0;
}

} // namespace skep::net
