#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/cluster/membership.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace skep::net {
class http_client;
}

namespace skep::rt {

/// Rules of the etcd back end.
struct etcd_membership_config {
  msg::member self;
  /// Its keys lie under /skep/<cluster>/.
  std::string cluster = "skep";
  /// "http://127.0.0.1:2379", tried in turn. etcd 3.4 or newer.
  std::vector<std::string> endpoints;
  /// Of the lease: a node that dies is out of the view after this, and etcd may be away for less.
  std::chrono::seconds ttl{5};
  /// One request to etcd.
  std::chrono::milliseconds request_timeout{1000};
};

/// Runs a task on the link's thread; may drop it when the link has ended.
using task_poster = std::function<void(std::function<void()>)>;

/// etcd's HTTP/JSON gateway, as much of it as a membership needs. Calls and callbacks on the link's
/// thread; no callback comes from within a call, or after the destructor.
class etcd_gateway {
public:
  virtual ~etcd_gateway() = default;

  /// The body of a good answer; errc::unavailable says which endpoint failed how.
  using answer = std::function<void(expected<std::string>)>;
  /// Posts `body` to a path like "/v3/kv/range"; `done` is called once, within the time-out.
  virtual void call(std::string path, std::string body, answer done) = 0;
  /// Posts a watch: `news` is called when it begins and after every change, several changes may
  /// come as one; `ended` once, after which there is no watch any more.
  virtual void watch(std::string body, std::function<void()> news, std::function<void()> ended) = 0;
};

/// The gateway over HTTP. The client must outlive it.
std::unique_ptr<etcd_gateway> make_etcd_gateway(const etcd_membership_config& config,
                                                net::http_client& client, task_poster post);

/// Views kept in etcd. Every node has the key /skep/<cluster>/members/<name>, bound to a lease of
/// its own, so that it goes when the node does. /skep/<cluster>/view holds the newest view: whoever
/// sees that the members are others than those of the view writes the next one, its number one
/// higher, in a transaction that demands that the key is still the one it read. So etcd decides
/// once per number, and nobody installs what that key did not say.
///
/// A watch tells that something changed, and a read of all keys at one revision tells what; the
/// read is also repeated three times per lease, so that a lost watch costs little. has_quorum()
/// holds while both our lease and the last read are younger than the lease by our own clock,
/// counted from when the request was sent: etcd counts from later, so a node that is cut off stops
/// owning before it is dropped. When etcd is away nodes serve on until then, and register again by
/// themselves.
///
/// Nothing blocks. leave() or the destructor revokes the lease, if the client lives long enough.
std::unique_ptr<membership> make_etcd_membership(etcd_membership_config config,
                                                 net::http_client& client, task_poster post,
                                                 membership_events events);

/// The same over any gateway.
std::unique_ptr<membership> make_etcd_membership(etcd_membership_config config,
                                                 std::unique_ptr<etcd_gateway> gateway,
                                                 membership_events events);

} // namespace skep::rt
