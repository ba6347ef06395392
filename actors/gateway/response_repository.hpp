#pragma once

#include "actors/gateway/config.hpp"
#include "apis/openai/responses_format.hpp"
#include "messages/store.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/cluster/cluster_port.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::telemetry {
class counter;
} // namespace skep::telemetry

namespace skep::actors {

/// A response as it is kept.
struct kept_response {
  /// The response object, JSON.
  std::string object;
  /// Items of the conversation up to its output, JSON.
  std::vector<std::string> input;
  /// The provider, by its name, whose own response it is, and its id there; empty: it was made
  /// here.
  std::string provider;
  std::string provider_id;
};

/// Keeps the responses of one gateway and finds them again. The node that answered keeps a response
/// in its store; the id names that node, so that any node of the cluster finds it. All members are
/// for the gateway's thread, and so are the callbacks; those of a gateway that ends are not called.
class response_repository {
public:
  /// All outlive the repository.
  response_repository(rt::bounded_actor& owner, rt::cluster_port& cluster,
                      const gateway_config& rules);

  /// "resp_", a UUID of version 7 and this node's node_id(), in hex.
  std::string make_id() const;

  /// Nothing: there is no such response of this tenant's. errc::node_down: the node that has it is
  /// not in the cluster at the moment.
  void find(const skep::context& context, const std::string& tenant, const std::string& id,
            std::function<void(expected<std::optional<kept_response>>)> then);
  /// Puts kept items in the place of references to them (item_reference). Asks for one response
  /// after another, until none is left; references to items that nobody here knows stay. Errors as
  /// those of find(), but for errc::node_down.
  void look_up(const skep::context& context, const std::string& tenant,
               std::vector<std::string> items,
               std::function<void(expected<std::vector<std::string>>)> then);
  /// True: it was there and is gone.
  void forget(const skep::context& context, const std::string& tenant, const std::string& id,
              std::function<void(expected<bool>)> then);

  /// What an answer is to be kept as.
  struct wish {
    std::string tenant;
    response_head head;
    /// The conversation's items.
    std::vector<std::string> input;
    /// False: the answer is only handed on.
    bool keep = true;
    /// Why only a provider of the API can answer; empty: whoever is asked can.
    std::string untyped;
  };
  /// Asks `to` and hands the answer on as it comes. Its end waits until the response is kept, so
  /// that whoever has seen the end finds it; when that fails, or takes longer than
  /// responses_timeout_ms, the answer goes out all the same and is counted.
  void relay(rt::responder out, const caf::actor& to, skep::context context,
             msg::chat_request request, wish what);

private:
  struct relayed;
  struct lookup;

  void look_up(const std::shared_ptr<lookup>& l);
  caf::actor store_of(std::string_view id) const;
  caf::actor own_store() const;
  skep::context in_time(skep::context context) const;
  void heard(const std::shared_ptr<relayed>& r, const rt::answer& got);
  bool answers_a_part(relayed& r, const rt::answer& got);
  std::string value_of(const relayed& r) const;
  template <class Last>
  void finish(const std::shared_ptr<relayed>& r, Last last, void (*deliver)(relayed&, Last));
  void keep(relayed& r, std::function<void()> then);

  rt::bounded_actor& owner_;
  rt::cluster_port& cluster_;
  const gateway_config& rules_;
  telemetry::counter& kept_;
  telemetry::counter& too_large_;
  telemetry::counter& failed_;
};

} // namespace skep::actors
