#include "runtime/cluster/cluster_port.hpp"

#include "runtime/base/fnv.hpp"
#include "runtime/flow/rendezvous.hpp"

namespace skep::rt {

std::uint64_t node_id(std::string_view name) {
  // The same on every machine for ever, because ownership hangs on it.
  return flow::mix(fnv1a(name), name.size());
}

const msg::member* cluster_state::member_of(std::uint64_t id) const {
  if (view)
    for (const auto& each : view->members)
      if (node_id(each.name) == id)
        return &each;
  return nullptr;
}

} // namespace skep::rt
