#include "actors/gateway/probes.hpp"

#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/node_states.hpp"

#include <nlohmann/json.hpp>

namespace skep::actors {

net::http_response probes::answer(endpoint what, bool admin) const {
  if (what == endpoint::ready)
    return ready(admin);
  if (what == endpoint::health)
    return json_response(200, R"({"status":"alive"})");
  return json_response(200, R"({"name":"skep","api":"POST /v1/chat/completions"})");
}

net::http_response probes::ready(bool admin) const {
  const auto phase = status_.phase.load();
  std::string shown{word_of(phase)};
  const auto trouble = cluster_.trouble();
  if (phase == rt::node_phase::ready && !trouble.empty())
    shown = admin ? "degraded: " + trouble : "degraded";
  nlohmann::json body{{"status", std::move(shown)}};
  if (admin) {
    body["node"] = status_.name;
    for (const auto& guarded : guard_states(env_))
      body["actors"][guarded.name] = guarded.word;
  }
  return json_response(phase == rt::node_phase::ready ? 200 : 503, body.dump());
}

} // namespace skep::actors
