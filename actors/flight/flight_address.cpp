#include "actors/flight/flight_address.hpp"

#include "messages/flight.hpp"
#include "runtime/actor/call.hpp"

#include <caf/make_actor.hpp>

namespace skep::actors {

flight_address::flight_address(caf::actor_config& config, std::vector<caf::actor> flights)
  : actor_proxy(config), flights_(std::move(flights)) {}

flight_address::~flight_address() = default;

caf::actor flight_address::make(rt::environment& env, std::vector<caf::actor> flights) {
  caf::actor_config config;
  auto& system = env.system();
  return caf::actor_cast<caf::actor>(caf::make_actor<flight_address, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, std::move(flights)));
}

void flight_address::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  const auto& content = what->content();
  if (rt::call_of(content) == nullptr)
    return; // Exits and the like are for actors; this is an address.
  std::uint64_t spread = 0;
  if (content.match_element<msg::flight_request>(1))
    spread = content.get_as<msg::flight_request>(1).key.low;
  else if (content.match_element<msg::flight_join_request>(1))
    spread = content.get_as<msg::flight_join_request>(1).key.low;
  flights_[spread % flights_.size()]->enqueue(std::move(what), unit);
}

void flight_address::kill_proxy(caf::execution_unit* unit, caf::error reason) {
  cleanup(std::move(reason), unit);
}

const char* flight_address::name() const {
  return "flight";
}

} // namespace skep::actors
