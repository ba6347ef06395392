// The gateway's POST /api/v1/agent/prompt.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/prompt_format.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

/// Who answers a prompt that names nobody: the default agent, else the only one; empty when that
/// leaves it open.
std::string agent_by_default(const gateway_config& options,
                             const std::vector<std::string>& agents) {
  if (!options.default_agent.empty())
    return options.default_agent;
  return agents.size() == 1 ? agents.front() : std::string{};
}

failure nobody_named(const std::vector<std::string>& agents) {
  std::string text = "name who answers, with \"agent\" or \"model\"";
  text += agents.empty() ? " (provider/model): this node has no agent, and providers have no model "
                           "of their own choice"
                         : ", or set [gateway] default_agent; there are";
  constexpr std::size_t named_max = 8;
  for (std::size_t n = 0; n < std::min(named_max, agents.size()); ++n)
    text += (n == 0 ? " " : ", ") + agents[n];
  if (agents.size() > named_max)
    text += " and " + std::to_string(agents.size() - named_max) + " more";
  return failure{errc::bad_request, std::move(text)};
}

} // namespace

void gateway::agent_prompt(const rt::call& c, const http_arrival& arrival) {
  auto body = read_prompt_body(arrival.request->body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  if (body->model.empty()) {
    const auto agents = router_.agents(arrival.models);
    body->model = agent_by_default(*options_, agents);
    if (body->model.empty()) {
      arrival.client->blame("agent");
      return refuse(c, nobody_named(agents));
    }
  }
  // The header's conversation, where there is one, wins: it is what proxies in between can see.
  if (!body->session_id.empty() && arrival.request->header("x-session-id").empty())
    arrival.request->headers.add("x-session-id", body->session_id);
  prompt_answer about;
  about.agent = router_.has_agent(body->model) ? body->model : std::string{};
  about.request_id = to_string(arrival.client->id());
  about.age_ms = [&env = env(), begun = now()] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(env.now() - begun).count();
  };
  body->request.model = std::move(body->model);
  pass_chat(c, arrival, std::move(body->request), prompt_format(std::move(about)));
}

} // namespace skep::actors
