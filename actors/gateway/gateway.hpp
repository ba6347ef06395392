#pragma once

#include "actors/gateway/config.hpp"
#include "actors/gateway/session.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/net/http_message.hpp"
#include "runtime/node/status.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <memory>
#include <string>
#include <unordered_map>

namespace skep::actors {

/// One HTTP request on its way from its connection's thread to a gateway; in-process only.
struct http_arrival {
  std::shared_ptr<net::http_request> request;
  /// Keeps the session; its caller is the lease's.
  caf::strong_actor_ptr session_handle;
  session* client = nullptr;
};

/// The door: reads requests, checks keys, finds the agent a model name means and passes the call on
/// with the client's session as caller, so that answers go past it. One per HTTP thread. Serves the
/// small endpoints itself.
class gateway : public rt::bounded_actor {
public:
  gateway(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
          std::shared_ptr<const gateway_config> options, rt::node_status& status);

protected:
  caf::behavior make_behavior() override;

private:
  /// Where a model name leads.
  struct route {
    caf::actor handle;
    /// What the agent or provider is asked for.
    std::string model;
    /// The name for metrics: one of the configuration's.
    std::string label;
  };

  void arrived(const rt::call& c, const http_arrival& arrival);
  void chat(const rt::call& c, const http_arrival& arrival);
  void models(const rt::call& c, const http_arrival& arrival, const std::string& wanted);
  void ready(const http_arrival& arrival);
  void metrics(const http_arrival& arrival);
  void debug_kill(const http_arrival& arrival);
  bool authorised(const http_arrival& arrival, std::string& tenant) const;
  bool wrong_method(const http_arrival& arrival, std::string_view allowed) const;
  route find_route(const std::string& model);
  caf::actor find(const std::string& name);

  const std::shared_ptr<const gateway_config> options_;
  rt::node_status& status_;
  // Handles as found in the directory; names are only added while the node starts.
  std::unordered_map<std::string, caf::actor> known_;
};

/// Cache-Control of a request.
struct cache_wish {
  msg::cache_mode mode = msg::cache_mode::use;
  std::uint32_t age_max_s = 0;
};
cache_wish read_cache_control(std::string_view header);

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::http_arrival)
