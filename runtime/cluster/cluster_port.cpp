#include "runtime/cluster/cluster_port.hpp"

#include "runtime/flow/rendezvous.hpp"

namespace skep::rt {

std::uint64_t node_id(std::string_view name) {
  // FNV-1a, then mixed: the same on every machine for ever, because ownership hangs on it.
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01b3;
  return flow::mix(hash, name.size());
}

const msg::member* cluster_state::member_of(std::uint64_t id) const {
  if (view)
    for (const auto& each : view->members)
      if (node_id(each.name) == id)
        return &each;
  return nullptr;
}

} // namespace skep::rt
