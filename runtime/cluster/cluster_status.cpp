#include "runtime/cluster/cluster.hpp"

#include <nlohmann/json.hpp>

#include <mutex>

namespace skep::rt {

namespace {

using nlohmann::json;

double in_ms(duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

json members_of(const cluster_state& state) {
  auto members = json::array();
  if (!state.view)
    return members;
  std::map<std::uint64_t, std::uint32_t> owned;
  for (std::uint32_t slot = 0; slot < flow::slot_map::slot_count; ++slot)
    if (const auto owners = state.slots.owners(slot); !owners.empty())
      ++owned[owners.front()];
  for (const auto& each : state.view->members)
    members.push_back({{"name", each.name},
                       {"address", each.address},
                       {"incarnation", std::to_string(each.incarnation)},
                       {"weight", each.weight},
                       {"draining", each.draining},
                       {"slots", owned[node_id(each.name)]}});
  return members;
}

} // namespace

std::string cluster::describe() const {
  const auto now = state();
  json body{{"node", self()},
            {"cluster", rules_.cluster},
            {"membership", rules_.back_end},
            {"quorum", now->owning},
            {"incarnation", std::to_string(rules_.self.incarnation)},
            {"view",
             {{"number", now->view ? now->view->number : 0},
              {"proposer", now->view ? now->view->proposer : ""},
              {"members", members_of(*now)}}},
            {"peers", json::array()},
            {"refusals", json::array()}};
  std::shared_lock guard{mutex_};
  body["standing"] = standing_;
  body["leaving"] = leaving_;
  for (const auto& each : links_) {
    const auto phi = phi_.find(each.name);
    const auto known = peers_.find(each.name);
    body["peers"].push_back(
      {{"name", each.name},
       {"address", each.address},
       {"up", each.up},
       {"incarnation", std::to_string(each.incarnation)},
       {"rtt_ms", in_ms(each.round_trip)},
       {"phi", phi != phi_.end() ? phi->second : 0.0},
       {"queued_messages", each.queued_messages},
       {"queued_bytes", each.queued_bytes},
       {"in_flight_bytes", each.in_flight_bytes},
       {"window_bytes", each.window_bytes},
       {"names", known != peers_.end() ? known->second.names : std::vector<std::string>{}}});
  }
  for (const auto& [name, text] : refusals_)
    body["refusals"].push_back(text);
  return body.dump();
}

} // namespace skep::rt
