#include "bench/wire_parties.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/io/all.hpp>

#include <future>
#include <iostream>

namespace skep::bench {

namespace {

struct basp_config : caf::actor_system_config {
  basp_config() {
    set("scheduler.max-threads", std::size_t{2});
    set("scheduler.policy", caf::atom("sharing"));
    load<caf::io::middleman>();
  }
};

caf::behavior basp_receiver(caf::event_based_actor*) {
  return {[](const std::string&) {}, [](caf::atom_value question) { return question; }};
}

struct basp_state {
  bench_clock::time_point start;
  int sent = 0;
  int answered = 0;
};

void basp_burst(caf::stateful_actor<basp_state>* self, const caf::actor& to,
                const std::string& text, int bursts, std::promise<double>* result) {
  auto& s = self->state;
  if (s.sent == bursts)
    return;
  ++s.sent;
  for (int n = 0; n < burst; ++n)
    self->send(to, text);
  self->request(to, std::chrono::minutes{1}, caf::atom("got")).then([=](caf::atom_value) {
    if (++self->state.answered == bursts)
      result->set_value(per_second(static_cast<std::size_t>(bursts) * burst, self->state.start));
    basp_burst(self, to, text, bursts, result);
  });
}

void basp_ping(caf::stateful_actor<basp_state>* self, const caf::actor& to,
               std::promise<double>* result) {
  auto& s = self->state;
  if (s.answered++ == round_trips)
    return result->set_value(ns_since(s.start) / 1e3 / round_trips);
  self->request(to, std::chrono::minutes{1}, caf::atom("got")).then([=](caf::atom_value) {
    basp_ping(self, to, result);
  });
}

} // namespace

void serve_basp() {
  basp_config config;
  caf::actor_system system{config};
  const auto who = system.spawn(basp_receiver);
  const auto port = system.middleman().publish(who, 0, "127.0.0.1");
  std::cout << *port << std::endl;
  wait_for_end();
  caf::anon_send_exit(who, caf::exit_reason::kill);
  _exit(0); // BASP's threads may still hold sockets of the other side.
}

double send_basp(const std::string& address, int bursts, std::size_t size) {
  basp_config config;
  caf::actor_system system{config};
  const auto to
    = system.middleman().remote_actor("127.0.0.1", static_cast<std::uint16_t>(std::stoi(address)));
  std::promise<double> result;
  const std::string text(size, 'x');
  const auto who = system.spawn([&](caf::stateful_actor<basp_state>* self) -> caf::behavior {
    return {[&, self](caf::atom_value) {
      self->state.start = bench_clock::now();
      if (bursts == 0)
        return basp_ping(self, *to, &result);
      for (int n = 0; n < bursts_ahead; ++n)
        basp_burst(self, *to, text, bursts, &result);
    }};
  });
  caf::anon_send(who, caf::atom("go"));
  const auto figure = result.get_future().get();
  std::cout << figure << std::endl;
  _exit(0);
}

} // namespace skep::bench
