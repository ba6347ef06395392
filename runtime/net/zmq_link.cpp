#include "runtime/net/zmq_link.hpp"

#include "runtime/base/clock.hpp"
#include "runtime/base/log.hpp"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.hpp>

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace skep::net {

namespace {

constexpr std::array<char, 3> magic{'s', 'k', 1};
constexpr std::size_t head_bytes = magic.size() + 2 * sizeof(std::uint64_t);
constexpr std::size_t length_bytes = sizeof(std::uint32_t);
// Frames taken from the ROUTER before the outgoing queue gets its turn.
constexpr int frames_per_round = 256;
constexpr auto retry_after = std::chrono::milliseconds{20};
// How often a peer whose pipe is full is tried again, when nothing else wakes the thread.
constexpr auto full_pipe_pause = std::chrono::milliseconds{2};

template <class T>
void put(std::string& out, T value) {
  for (std::size_t n = 0; n < sizeof(T); ++n)
    out += static_cast<char>(value >> (8 * n));
}

template <class T>
T get(std::string_view bytes) {
  T value = 0;
  for (std::size_t n = 0; n < sizeof(T); ++n)
    value = static_cast<T>(value | static_cast<T>(static_cast<unsigned char>(bytes[n])) << (8 * n));
  return value;
}

struct counters {
  std::atomic<std::uint64_t> messages_out{0};
  std::atomic<std::uint64_t> messages_in{0};
  std::atomic<std::uint64_t> frames_out{0};
  std::atomic<std::uint64_t> frames_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> malformed{0};
};

} // namespace

struct zmq_link::impl {
  impl(link_config c, message_handler handler)
    : config(std::move(c)), on_message(std::move(handler)),
      router(context, zmq::socket_type::router), wake_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~impl() {
    if (wake_fd >= 0)
      close(wake_fd);
  }

  /// What waits for one peer, shared between senders and the thread.
  struct peer {
    zmq::socket_t dealer; // The link's thread only, after connect() handed it over.
    std::string frame;    // Link's thread: a frame the pipe had no room for.
    std::uint64_t sequence = 0;
    std::deque<std::string> queue; // Guarded by mutex.
    std::size_t queue_bytes = 0;   // Guarded by mutex.
  };

  void bind();
  void run();
  void wake();
  bool flush_all();
  bool flush(peer& to);
  bool fill_frame(peer& to);
  void receive();
  void frame_came(std::string_view from, std::string_view bytes);
  bool head_fits(const std::string& from, std::string_view bytes);

  const link_config config;
  const message_handler on_message;
  zmq::context_t context{1};
  zmq::socket_t router;
  std::string endpoint;
  const int wake_fd;
  counters count;

  std::mutex mutex; // Guards peers, their queues, `awake` and `stopping`.
  std::map<std::string, std::unique_ptr<peer>, std::less<>> peers;
  bool awake = false;
  bool stopping = false;
  time_point stop_by{};

  std::map<std::string, std::uint64_t> last_seen; // Link's thread: sequence per sender.
  std::thread thread;
};

void zmq_link::impl::bind() {
  router.set(zmq::sockopt::linger, 0);
  router.set(zmq::sockopt::router_handover, true);
  router.set(zmq::sockopt::maxmsgsize,
             static_cast<std::int64_t>(config.message_bytes_max + config.frame_bytes));
  router.set(zmq::sockopt::handshake_ivl, 5'000);
  router.bind(config.bind);
  endpoint = router.get(zmq::sockopt::last_endpoint);
}

void zmq_link::impl::wake() {
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the thread is awake already.
  [[maybe_unused]] const auto written = write(wake_fd, &one, sizeof(one));
}

void zmq_link::impl::run() {
  for (;;) {
    const bool full = !flush_all();
    {
      std::lock_guard guard{mutex};
      if (stopping && (!full || clock::now() >= stop_by))
        return;
    }
    zmq::pollitem_t items[]
      = {{router.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, wake_fd, ZMQ_POLLIN, 0}};
    zmq::poll(items, 2, full ? full_pipe_pause : std::chrono::milliseconds{-1});
    if ((items[1].revents & ZMQ_POLLIN) != 0) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] const auto got = read(wake_fd, &ignored, sizeof(ignored));
    }
    receive();
  }
}

/// False when a pipe was full and something still waits.
bool zmq_link::impl::flush_all() {
  std::vector<peer*> all;
  {
    std::lock_guard guard{mutex};
    awake = false; // What is queued from here on wakes the thread again.
    for (auto& [name, each] : peers)
      all.push_back(each.get());
  }
  bool done = true;
  for (auto* each : all)
    done = flush(*each) && done;
  return done;
}

bool zmq_link::impl::flush(peer& to) {
  for (;;) {
    if (to.frame.empty() && !fill_frame(to))
      return true;
    if (!to.dealer.send(zmq::buffer(to.frame), zmq::send_flags::dontwait))
      return false;
    count.frames_out.fetch_add(1, std::memory_order_relaxed);
    count.bytes_out.fetch_add(to.frame.size(), std::memory_order_relaxed);
    to.frame.clear();
  }
}

/// Puts waiting messages into the next frame; false when none wait.
bool zmq_link::impl::fill_frame(peer& to) {
  std::deque<std::string> batch;
  {
    std::lock_guard guard{mutex};
    std::size_t bytes = 0;
    while (!to.queue.empty()
           && (batch.empty() || bytes + to.queue.front().size() <= config.frame_bytes)) {
      bytes += to.queue.front().size() + length_bytes;
      to.queue_bytes -= to.queue.front().size();
      batch.push_back(std::move(to.queue.front()));
      to.queue.pop_front();
    }
  }
  if (batch.empty())
    return false;
  to.frame.assign(magic.data(), magic.size());
  put(to.frame, config.incarnation);
  put(to.frame, ++to.sequence);
  for (const auto& each : batch) {
    put(to.frame, static_cast<std::uint32_t>(each.size()));
    to.frame += each;
  }
  count.messages_out.fetch_add(batch.size(), std::memory_order_relaxed);
  return true;
}

void zmq_link::impl::receive() {
  for (int n = 0; n < frames_per_round; ++n) {
    zmq::message_t from;
    if (!router.recv(from, zmq::recv_flags::dontwait))
      return;
    // A frame of ours is one part behind the identity; of anything else the last part is looked at.
    zmq::message_t body;
    bool more = from.more();
    int parts = 0;
    while (more) {
      [[maybe_unused]] const auto got = router.recv(body, zmq::recv_flags::dontwait);
      more = body.more();
      ++parts;
    }
    if (parts == 1)
      frame_came(from.to_string_view(), body.to_string_view());
    else
      count.malformed.fetch_add(1, std::memory_order_relaxed);
  }
  wake(); // More may wait; the queue's turn first.
}

bool zmq_link::impl::head_fits(const std::string& from, std::string_view bytes) {
  if (bytes.size() < head_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    return false;
  const auto life = get<std::uint64_t>(bytes.substr(magic.size()));
  const auto sequence = get<std::uint64_t>(bytes.substr(magic.size() + sizeof(life)));
  auto& last = last_seen[from];
  if (life != config.incarnation || sequence != last + 1)
    return false;
  last = sequence;
  return true;
}

void zmq_link::impl::frame_came(std::string_view from, std::string_view bytes) {
  count.frames_in.fetch_add(1, std::memory_order_relaxed);
  count.bytes_in.fetch_add(bytes.size(), std::memory_order_relaxed);
  const std::string name{from};
  bool known = false;
  {
    std::lock_guard guard{mutex};
    known = peers.find(name) != peers.end();
  }
  // Strangers are not even remembered, so that nobody can fill memory with names.
  if (!known || !head_fits(name, bytes)) {
    count.malformed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  bytes.remove_prefix(head_bytes);
  while (!bytes.empty()) {
    if (bytes.size() < length_bytes || get<std::uint32_t>(bytes) > bytes.size() - length_bytes) {
      count.malformed.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    const auto size = get<std::uint32_t>(bytes);
    on_message(name, bytes.substr(length_bytes, size));
    count.messages_in.fetch_add(1, std::memory_order_relaxed);
    bytes.remove_prefix(length_bytes + size);
  }
}

// -- the public face ------------------------------------------------------------------------------

expected<std::unique_ptr<zmq_link>> zmq_link::start(link_config config,
                                                    message_handler on_message) try {
  auto state = std::make_unique<impl>(std::move(config), std::move(on_message));
  if (state->wake_fd < 0)
    return fail(errc::transport_failed, std::string{"eventfd: "} + std::strerror(errno));
  state->bind();
  state->thread = std::thread{[raw = state.get()] {
    try {
      raw->run();
    } catch (const zmq::error_t& e) {
      log::error("link: the thread ended: {}", e.what());
    }
  }};
  return std::unique_ptr<zmq_link>{new zmq_link{std::move(state)}};
} catch (const zmq::error_t& e) {
  return fail(errc::transport_failed, std::string{"link: cannot listen: "} + e.what());
}

zmq_link::zmq_link(std::unique_ptr<impl> state) : impl_(std::move(state)) {}

zmq_link::~zmq_link() {
  {
    std::lock_guard guard{impl_->mutex};
    impl_->stopping = true;
    impl_->stop_by = clock::now() + impl_->config.linger;
  }
  impl_->wake();
  if (impl_->thread.joinable())
    impl_->thread.join();
}

const std::string& zmq_link::endpoint() const {
  return impl_->endpoint;
}

expected<void> zmq_link::connect(const std::string& peer, const std::string& address) try {
  auto fresh = std::make_unique<impl::peer>();
  fresh->dealer = zmq::socket_t{impl_->context, zmq::socket_type::dealer};
  fresh->dealer.set(zmq::sockopt::routing_id, impl_->config.node_name);
  fresh->dealer.set(zmq::sockopt::linger, static_cast<int>(impl_->config.linger.count()));
  fresh->dealer.set(zmq::sockopt::reconnect_ivl, 50);
  fresh->dealer.set(zmq::sockopt::reconnect_ivl_max, 2'000);
  fresh->dealer.connect(address);
  std::lock_guard guard{impl_->mutex};
  if (!impl_->peers.emplace(peer, std::move(fresh)).second)
    return fail(errc::bad_config, "link: peer " + peer + " is connected already");
  return {};
} catch (const zmq::error_t& e) {
  return fail(errc::transport_failed, "link: cannot connect to " + address + ": " + e.what());
}

expected<void> zmq_link::send(std::string_view peer, std::string bytes) {
  if (bytes.size() > impl_->config.message_bytes_max)
    return fail(errc::too_large, "link: a message of " + std::to_string(bytes.size()) + " bytes");
  bool sleeping = false;
  {
    std::lock_guard guard{impl_->mutex};
    const auto entry = impl_->peers.find(peer);
    if (entry == impl_->peers.end())
      return fail(errc::not_found, "link: no peer " + std::string{peer});
    auto& to = *entry->second;
    if (to.queue.size() >= impl_->config.queue_messages_max
        || to.queue_bytes + bytes.size() > impl_->config.queue_bytes_max) {
      impl_->count.refused.fetch_add(1, std::memory_order_relaxed);
      return fail(errc::overloaded, "link: the queue to " + std::string{peer} + " is full",
                  retry_after);
    }
    to.queue_bytes += bytes.size();
    to.queue.push_back(std::move(bytes));
    sleeping = !std::exchange(impl_->awake, true);
  }
  if (sleeping)
    impl_->wake();
  return {};
}

link_stats zmq_link::stats() const {
  link_stats s;
  const auto& c = impl_->count;
  s.messages_out = c.messages_out;
  s.messages_in = c.messages_in;
  s.frames_out = c.frames_out;
  s.frames_in = c.frames_in;
  s.bytes_out = c.bytes_out;
  s.bytes_in = c.bytes_in;
  s.refused = c.refused;
  s.malformed = c.malformed;
  std::lock_guard guard{impl_->mutex};
  for (const auto& [name, each] : impl_->peers) {
    s.queued_messages += each->queue.size();
    s.queued_bytes += each->queue_bytes;
  }
  return s;
}

} // namespace skep::net
