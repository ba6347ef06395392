#pragma once

#include "runtime/flow/rng.hpp"
#include "runtime/net/link_core.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace skep::test {

/// What the network of a simulation does to frames.
struct weather {
  double loss = 0;
  double duplication = 0;
  duration delay_min = 1ms;
  duration delay_max = 5ms;
};

/// Carries frames between the link cores of a simulation, with everything a network may do to them.
/// Seeded, in virtual time, one thread.
class sim_network {
public:
  using receiver = std::function<void(std::string_view head, std::string_view body)>;

  explicit sim_network(std::uint64_t seed) : random_(seed) {}

  /// Frames to `address` go to `to` from now on; null: nobody listens there.
  void listen(const std::string& address, receiver to);
  void post(const std::string& from, const std::string& to, std::string head, std::string body,
            time_point now);
  /// When the next frame arrives; max() when none is on its way.
  time_point next() const;
  /// Hands over what arrives until `now`.
  void deliver(time_point now);

  weather& sky() {
    return weather_;
  }
  /// Frames from one address to another are lost, or get through again.
  void cut(const std::string& from, const std::string& to, bool is_cut);
  void heal() {
    cuts_.clear();
    weather_ = {};
  }

private:
  struct frame {
    time_point at;
    std::uint64_t number = 0;
    std::string to;
    std::string head;
    std::string body;
    bool operator>(const frame& other) const {
      return std::tie(at, number) > std::tie(other.at, other.number);
    }
  };

  flow::rng random_;
  weather weather_;
  std::map<std::string, receiver> listeners_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::priority_queue<frame, std::vector<frame>, std::greater<>> on_the_way_;
  std::uint64_t last_number_ = 0;
};

/// The socket of one node of a simulation.
class sim_socket final : public net::link_socket {
public:
  sim_socket(sim_network& network, std::string address, std::function<time_point()> now)
    : network_(network), address_(std::move(address)), now_(std::move(now)) {}

  expected<void> connect(net::link_peer_id peer, const std::string& name,
                         const std::string& address) override;
  void disconnect(net::link_peer_id peer) override;
  bool send(net::link_peer_id peer, const net::frame_head& head,
            const net::frame_body& body) override;

private:
  sim_network& network_;
  const std::string address_;
  const std::function<time_point()> now_;
  std::map<net::link_peer_id, std::string> peers_;
};

} // namespace skep::test
