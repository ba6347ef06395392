// What a message costs between two processes: skep's remote handles against CAF's own BASP
// (libcaf_io) and against raw ZeroMQ, in turn. Every party is a process of its own:
// `serve PARTY` prints its address and serves until its input ends, `send PARTY ADDRESS WHAT SIZE`
// prints one figure, and without arguments everything is run and printed as JSON lines.
#include "bench/child_process.hpp"
#include "bench/measure.hpp"
#include "bench/wire_parties.hpp"
#include "messages/codec_impl.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/actor/handoff.hpp"
#include "runtime/cluster/wire_port.hpp"
#include "runtime/net/node_link.hpp"
#include "tests/support/real_system.hpp"

#include <caf/event_based_actor.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <future>
#include <iostream>
#include <map>

namespace skep::msg {

/// A message of a chosen size.
struct filler {
  std::string data;
  SKEP_MESSAGE(0x8000'0001, 1, data)
};

} // namespace skep::msg

namespace skep {
SKEP_CODEC(msg::filler)
} // namespace skep

namespace {

using namespace skep;
using namespace skep::bench;
using msg::filler;
using skep::test::real_system;

constexpr int runs = 5;

// -- skep -----------------------------------------------------------------------------------------

/// One process's end: a port over a link, without membership.
class wire_end final : public net::link_events {
public:
  explicit wire_end(const std::string& name) {
    types.add<filler>();
    port = rt::wire_port::make(sys.env, types, incarnation{1});
    net::link_config config;
    config.node = name;
    config.queue_bytes_max = std::size_t{256} << 20;
    link = net::node_link::start(config, {}, *this).value();
  }
  ~wire_end() override {
    link.reset();
  }

  void peer_up(const net::link_peer_info& peer) override {
    sessions[peer.hello.node]
      = port->open(peer.hello.node, incarnation{peer.hello.incarnation}, peer.outbox);
    ++up;
  }
  void peer_down(const net::link_peer_info& peer, const failure& why) override {
    port->close(sessions[peer.hello.node], why);
  }
  void frame_begins() override {
    batch.emplace(sys.system);
  }
  void frame_ends() override {
    batch.reset();
  }
  void message_came(const net::link_peer_info& peer, std::string_view bytes) override {
    port->message_came(sessions[peer.hello.node], bytes);
  }
  void beat_came(const net::link_peer_info&, std::string_view, std::optional<time_point>) override {
  }
  std::string beat_state() override {
    return {};
  }
  void refused(const msg::node_refusal& why, const std::string&, bool) override {
    std::cerr << why.text << '\n';
  }
  void ticked(time_point) override {}

  real_system sys;
  rt::wire_types types;
  std::shared_ptr<rt::wire_port> port;
  std::map<std::string, rt::wire_session_ptr> sessions; // The link's thread, once all are up.
  std::atomic<int> up{0};
  std::optional<rt::wake_batch> batch;
  std::unique_ptr<net::node_link> link;
};

rt::mailbox_bounds wide_bounds() {
  rt::mailbox_bounds bounds;
  bounds.messages_max = 1u << 22;
  bounds.bytes_max = std::size_t{1} << 30;
  return bounds;
}

class receiver : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[](const rt::call&, const filler&) {},
            [this](const rt::call& c, const msg::ack&) { reply(c, msg::ack{}); }};
  }
};

/// Sends bursts with a question behind each, or one question after the other.
class sender : public rt::bounded_actor {
public:
  sender(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind, caf::actor to,
         caf::actor also, std::size_t size, int bursts, std::promise<double>& result)
    : bounded_actor(config, env, kind), to_(std::move(to)), also_(std::move(also)),
      text_(size, 'x'), bursts_(bursts), result_(result) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const msg::ack&) {
      start_ = bench_clock::now();
      if (bursts_ == 0)
        return ping();
      for (int n = 0; n < bursts_ahead; ++n)
        send_burst();
    }};
  }

private:
  void send_burst() {
    if (sent_ == bursts_)
      return;
    ++sent_;
    for (int n = 0; n < burst; ++n) {
      tell(to_, {}, filler{text_});
      if (also_)
        tell(also_, {}, filler{text_});
    }
    ask(to_, {}, msg::ack{}, [this](const rt::answer& got) {
      if (got.what != rt::answer::kind::reply)
        std::cerr << to_string(got.why) << '\n';
      if (++answered_ == bursts_)
        result_.set_value(per_second(static_cast<std::size_t>(bursts_) * burst, start_));
      send_burst();
    });
  }
  void ping() {
    if (answered_++ == round_trips)
      return result_.set_value(ns_since(start_) / 1e3 / round_trips);
    ask(to_, {}, msg::ack{}, [this](const rt::answer&) { ping(); });
  }

  const caf::actor to_;
  const caf::actor also_; // Gets as much, and never answers.
  const std::string text_;
  const int bursts_;
  std::promise<double>& result_;
  bench_clock::time_point start_;
  int sent_ = 0;
  int answered_ = 0;
};

void serve_skep(const std::string& name) {
  wire_end end{name};
  rt::actor_kind kind{end.sys.metrics, "receiver", wide_bounds()};
  end.sys.env.directory().add("receiver", end.sys.adopt(end.sys.env.spawn<receiver>(kind)));
  std::cout << end.link->endpoint() << std::endl;
  wait_for_end();
}

/// With two addresses the second one's process is stopped before the first message.
double send_skep(const std::string& addresses, int bursts, std::size_t size) {
  wire_end end{"client"};
  const auto comma = addresses.find(',');
  const bool two = comma != std::string::npos;
  end.link->post([&](net::link_core& core) {
    const auto now = skep::clock::now();
    if (!core.add_peer("server", addresses.substr(0, comma), now))
      std::exit(1);
    if (two && !core.add_peer("stopped", addresses.substr(comma + 1), now))
      std::exit(1);
  });
  if (!skep::test::eventually([&] { return end.up == (two ? 2 : 1); }))
    std::exit(1);
  if (two) {
    std::cout << "up" << std::endl;
    std::string go;
    std::getline(std::cin, go);
  }
  std::promise<double> result;
  rt::actor_kind kind{end.sys.metrics, "sender", wide_bounds()};
  const auto far = [&](const char* node) {
    return end.port->handle(end.sessions.at(node), {"receiver", {}});
  };
  const auto who = end.sys.adopt(end.sys.env.spawn<sender>(
    kind, far("server"), two ? far("stopped") : caf::actor{}, size, bursts, std::ref(result)));
  caf::anon_send(who, msg::ack{});
  return result.get_future().get();
}

// -- figures --------------------------------------------------------------------------------------

double figure(const std::string& party, const std::string& what, std::size_t size) {
  const auto server = start({"serve", party});
  const auto address = read_line(server);
  const auto client = start({"send", party, address, what, std::to_string(size)});
  const auto line = read_line(client);
  end(client);
  end(server);
  return line.empty() ? 0 : std::stod(line);
}

/// The rate to one node while as much is sent to another one that has stopped reading.
double beside_stopped(std::size_t size) {
  const auto good = start({"serve", "skep"});
  const auto stopped = start({"serve", "stopped"});
  const auto addresses = read_line(good) + "," + read_line(stopped);
  const auto client = start({"send", "skep", addresses, "rate", std::to_string(size)});
  read_line(client); // It has both sessions.
  kill(stopped.pid, SIGSTOP);
  [[maybe_unused]] const auto told = write(client.in, "\n", 1);
  const auto line = read_line(client);
  kill(stopped.pid, SIGKILL);
  end(client);
  end(stopped);
  end(good);
  return line.empty() ? 0 : std::stod(line);
}

void isolation(std::size_t size) {
  std::vector<double> alone;
  std::vector<double> beside;
  std::vector<double> ratio;
  for (int run = 0; run < runs; ++run) {
    alone.push_back(figure("skep", "rate", size));
    beside.push_back(beside_stopped(size));
    ratio.push_back(beside.back() / alone.back());
  }
  print("messages to a node beside a stopped one", "1/s", beside);
  print("messages beside a stopped node / without it", "ratio", ratio);
}

/// A round trip to a node that a stranger floods.
double trip_under_flood() {
  const auto server = start({"serve", "skep"});
  const auto address = read_line(server);
  const auto stranger = start({"flood", address});
  read_line(stranger);
  const auto client = start({"send", "skep", address, "trip", "0"});
  const auto line = read_line(client);
  end(client);
  end(stranger);
  end(server);
  return line.empty() ? 0 : std::stod(line);
}

void hostile() {
  std::vector<double> quiet;
  std::vector<double> flooded;
  std::vector<double> ratio;
  for (int run = 0; run < runs; ++run) {
    quiet.push_back(figure("skep", "trip", 0));
    flooded.push_back(trip_under_flood());
    ratio.push_back(flooded.back() / quiet.back());
  }
  print("round trip to a node a stranger floods", "us", flooded);
  print("round trip, flooded / quiet", "ratio", ratio);
}

void compare(const std::string& what, std::size_t size, const std::string& unit) {
  const std::array<std::string, 3> parties{"skep", "basp", "zmq"};
  std::array<std::vector<double>, 3> figures;
  for (int run = 0; run < runs; ++run)
    for (std::size_t n = 0; n < parties.size(); ++n)
      figures[n].push_back(figure(parties[n], what, size));
  const auto name = what == "trip" ? std::string{"round trip between processes"}
                                   : std::to_string(size) + " bytes between processes";
  print(name + ", skep", unit, figures[0]);
  print(name + ", CAF's BASP", unit, figures[1]);
  print(name + ", raw ZeroMQ", unit, figures[2]);
  std::vector<double> to_basp;
  std::vector<double> to_zmq;
  for (std::size_t run = 0; run < runs; ++run) {
    to_basp.push_back(figures[0][run] / figures[1][run]);
    to_zmq.push_back(figures[0][run] / figures[2][run]);
  }
  print(name + ", skep / BASP", "ratio", to_basp);
  print(name + ", skep / ZeroMQ", "ratio", to_zmq);
}

int send(const std::string& party, const std::string& address, const std::string& what,
         std::size_t size) {
  const int bursts = what == "trip" ? 0 : bursts_for(size);
  const auto result = party == "skep"   ? send_skep(address, bursts, size)
                      : party == "basp" ? send_basp(address, bursts, size)
                                        : send_zmq(address, bursts, size);
  std::cout << result << std::endl;
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments{argv + 1, argv + argc};
  if (arguments.size() == 2 && arguments[0] == "serve") {
    if (arguments[1] == "skep")
      serve_skep("server");
    else if (arguments[1] == "stopped")
      serve_skep("stopped");
    else if (arguments[1] == "basp")
      serve_basp();
    else
      serve_zmq();
    return 0;
  }
  if (arguments.size() == 2 && arguments[0] == "flood")
    flood(arguments[1]);
  if (arguments.size() == 5 && arguments[0] == "send")
    return send(arguments[1], arguments[2], arguments[3], std::stoul(arguments[4]));
  compare("rate", 64, "1/s");
  compare("rate", 1024, "1/s");
  compare("rate", 16'384, "1/s");
  compare("trip", 0, "us");
  isolation(1024);
  hostile();
  return 0;
}
