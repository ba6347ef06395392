#include "bench/wire_parties.hpp"
#include "runtime/net/link_frame.hpp"

#include <zmq.hpp>

#include <cstring>
#include <iostream>
#include <thread>

namespace skep::bench {

void serve_zmq() {
  zmq::context_t context{1};
  zmq::socket_t pull{context, zmq::socket_type::pull};
  zmq::socket_t rep{context, zmq::socket_type::rep};
  pull.bind("tcp://127.0.0.1:*");
  rep.bind("tcp://127.0.0.1:*");
  std::cout << pull.get(zmq::sockopt::last_endpoint) << ',' << rep.get(zmq::sockopt::last_endpoint)
            << std::endl;
  zmq::pollitem_t items[] = {{pull.handle(), 0, ZMQ_POLLIN, 0},
                             {rep.handle(), 0, ZMQ_POLLIN, 0},
                             {nullptr, STDIN_FILENO, ZMQ_POLLIN, 0}};
  std::uint64_t received = 0;
  std::uint64_t wanted = 0;
  for (;;) {
    zmq::poll(items, 3, std::chrono::milliseconds{-1});
    if ((items[2].revents & (ZMQ_POLLIN | ZMQ_POLLERR)) != 0)
      return;
    zmq::message_t got;
    for (int n = 0; n < 1000 && pull.recv(got, zmq::recv_flags::dontwait); ++n)
      ++received;
    if ((items[1].revents & ZMQ_POLLIN) != 0 && rep.recv(got, zmq::recv_flags::dontwait))
      std::memcpy(&wanted, got.data(), sizeof(wanted));
    // The question "have you got so many?" is answered when it is so.
    if (wanted != 0 && received >= wanted - 1) {
      rep.send(zmq::buffer(&wanted, sizeof(wanted)), zmq::send_flags::none);
      wanted = 0;
      received = 0;
    }
  }
}

double send_zmq(const std::string& address, int bursts, std::size_t size) {
  zmq::context_t context{1};
  zmq::socket_t push{context, zmq::socket_type::push};
  zmq::socket_t req{context, zmq::socket_type::req};
  const auto comma = address.find(',');
  push.connect(address.substr(0, comma));
  req.connect(address.substr(comma + 1));
  const std::string text(size, 'x');
  zmq::message_t got;
  const auto question = [&](std::uint64_t count) {
    const std::uint64_t wanted = count + 1;
    req.send(zmq::buffer(&wanted, sizeof(wanted)), zmq::send_flags::none);
    return req.recv(got, zmq::recv_flags::none).has_value();
  };
  question(0); // Both connections stand.
  const auto start = bench_clock::now();
  if (bursts == 0) {
    for (int n = 0; n < round_trips; ++n)
      question(0);
    return ns_since(start) / 1e3 / round_trips;
  }
  const auto count = static_cast<std::uint64_t>(bursts) * burst;
  for (std::uint64_t n = 0; n < count; ++n)
    push.send(zmq::buffer(text), zmq::send_flags::none);
  question(count);
  return per_second(count, start);
}

void flood(const std::string& address) {
  zmq::context_t context{1};
  zmq::socket_t dealer{context, zmq::socket_type::dealer};
  dealer.connect(address);
  const std::string head(net::frame_head::size, '\x7f');
  const std::string body(1024, 'x');
  std::cout << "connected" << std::endl;
  std::thread sending{[&] {
    for (;;) {
      dealer.send(zmq::buffer(head), zmq::send_flags::sndmore);
      dealer.send(zmq::buffer(body), zmq::send_flags::none);
    }
  }};
  wait_for_end();
  _exit(0);
}

} // namespace skep::bench
