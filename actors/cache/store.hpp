#pragma once

#include "actors/cache/handover.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/actor/environment.hpp"
#include "runtime/cluster/cluster_port.hpp"

#include <caf/actor_proxy.hpp>

namespace skep::telemetry {
class counter;
} // namespace skep::telemetry

namespace skep::actors {

/// What comes behind the call of a data message, when it is a T; null otherwise.
template <class T>
const T* payload_of(const caf::mailbox_element& what) {
  const auto& content = what.content();
  return content.match_element<T>(1) ? &content.get_as<T>(1) : nullptr;
}

/// The shards of this node; a shard serves the slots that leave its number when divided by theirs.
struct local_shards {
  /// As others reach them: for calls.
  std::vector<caf::actor> calls;
  /// The same without a wire in between: for orders, which do not leave the process.
  std::vector<caf::actor> orders;

  const caf::actor& of(std::uint32_t slot) const {
    return calls[slot % calls.size()];
  }
};

/// A clear for this node alone, from its store to its front. In-process only.
struct local_clear {
  msg::cache_clear_request what;
};

/// "cache/store": this node's share of the cluster's cache as other nodes reach it. Gets, puts,
/// releases and fills go to their shard on the sender's thread; what this node must not take
/// (written by an older view, or while this node owns nothing; a get before it has acted on the
/// newest view, for it may have to forget what it holds) is refused with errc::unavailable; clears
/// go to the front, which has a near-cache to clear as well. Thread-safe.
class cache_store final : public caf::actor_proxy {
public:
  cache_store(caf::actor_config& config, rt::environment& env, rt::cluster_port& cluster,
              local_shards shards, caf::actor front, std::shared_ptr<const handover_status> status);
  ~cache_store() override;

  /// `front` without a wire in between.
  static caf::actor make(rt::environment& env, rt::cluster_port& cluster, local_shards shards,
                         caf::actor front, std::shared_ptr<const handover_status> status);

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override;
  const char* name() const override;

private:
  bool takes(std::uint64_t view, bool reads, const rt::lease_ptr& token);

  rt::cluster_port& cluster_;
  const local_shards shards_;
  const caf::actor front_;
  const std::shared_ptr<const handover_status> status_;
  telemetry::counter& stale_;
  telemetry::counter& not_owning_;
  telemetry::counter& behind_;
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::local_clear)
