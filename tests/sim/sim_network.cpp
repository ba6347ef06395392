#include "tests/sim/sim_network.hpp"

namespace skep::test {

void sim_network::listen(const std::string& address, receiver to) {
  if (to)
    listeners_[address] = std::move(to);
  else
    listeners_.erase(address);
}

void sim_network::cut(const std::string& from, const std::string& to, bool is_cut) {
  if (is_cut)
    cuts_.emplace(from, to);
  else
    cuts_.erase({from, to});
}

void sim_network::post(const std::string& from, const std::string& to, std::string head,
                       std::string body, time_point now) {
  if (cuts_.count({from, to}) != 0)
    return;
  const int copies = random_.uniform() < weather_.duplication ? 2 : 1;
  for (int n = 0; n < copies; ++n) {
    if (random_.uniform() < weather_.loss)
      continue;
    // Each frame takes its own time, so later ones overtake.
    const auto span = weather_.delay_max - weather_.delay_min;
    const auto delay
      = weather_.delay_min + std::chrono::duration_cast<duration>(span * random_.uniform());
    on_the_way_.push({now + delay, ++last_number_, to, head, body});
  }
}

time_point sim_network::next() const {
  return on_the_way_.empty() ? time_point::max() : on_the_way_.top().at;
}

void sim_network::deliver(time_point now) {
  while (!on_the_way_.empty() && on_the_way_.top().at <= now) {
    const auto arrived = on_the_way_.top();
    on_the_way_.pop();
    if (const auto to = listeners_.find(arrived.to); to != listeners_.end())
      to->second(arrived.head, arrived.body);
  }
}

expected<void> sim_socket::connect(net::link_peer_id peer, const std::string&,
                                   const std::string& address) {
  peers_[peer] = address;
  return {};
}

void sim_socket::disconnect(net::link_peer_id peer) {
  peers_.erase(peer);
}

bool sim_socket::send(net::link_peer_id peer, const net::frame_head& head,
                      const net::frame_body& body) {
  const auto bytes = net::encode_head(head);
  if (const auto to = peers_.find(peer); to != peers_.end())
    network_.post(address_, to->second, std::string{bytes.data(), bytes.size()},
                  body ? *body : std::string{}, now_());
  return true;
}

} // namespace skep::test
