#pragma once

#include "actors/agent/definition.hpp"
#include "runtime/actor/bounded_actor.hpp"

namespace skep::actors {

/// One instance of an agent: gives a conversation its instructions and parameters and hands the
/// call on to the node's flights, which get the answer and give it to the caller. Spawned by its
/// pool, which keeps it for one call at a time. Serves chat_request, answered as messages/chat.hpp
/// says.
class agent : public rt::bounded_actor {
public:
  agent(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
        agent_definition_ptr definition);

protected:
  caf::behavior make_behavior() override;

private:
  void begin(const rt::call& c, const msg::chat_request& request);
  void count_route(const msg::flight_request& wanted) const;

  const agent_definition_ptr definition_;
};

} // namespace skep::actors
