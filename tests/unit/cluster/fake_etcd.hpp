#pragma once

// tidy: allow size, the fake and the way to it are one fixture

#include "runtime/base/base64.hpp"
#include "runtime/cluster/etcd_json.hpp"
#include "runtime/cluster/etcd_membership.hpp"

#include <nlohmann/json.hpp>

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace skep::test {

using namespace skep::rt;
using nlohmann::json;

/// What etcd does with the requests of a membership, in virtual time.
class fake_etcd {
public:
  struct stored {
    std::string value;
    std::uint64_t revision = 0;
    std::uint64_t lease = 0;
  };
  time_point now{1h};
  std::uint64_t revision = 1;
  std::map<std::string, stored> keys;

  std::string handle(const std::string& path, const std::string& body) {
    const auto in = json::parse(body);
    json out;
    if (path == "/v3/lease/grant") {
      leases_[++last_lease_] = {std::chrono::seconds{std::stoi(in["TTL"].get<std::string>())}, now};
      out = {{"ID", std::to_string(last_lease_)}, {"TTL", in["TTL"]}};
    } else if (path == "/v3/lease/keepalive") {
      out = {{"result", keep_alive(in["ID"])}};
    } else if (path == "/v3/lease/revoke") {
      end_lease(number(in["ID"]));
    } else if (path == "/v3/kv/range") {
      out["kvs"] = range(plain(in["key"]), plain(in["range_end"]));
    } else if (path == "/v3/kv/txn") {
      out = transact(in);
    }
    out["header"] = {{"revision", std::to_string(revision)}};
    return out.dump();
  }

  /// Leases end as time passes; etcd looks twice a second.
  void advance(duration d) {
    now += d;
    for (auto at = leases_.begin(); at != leases_.end();) {
      const auto id = at->first;
      const bool over = at->second.since + at->second.ttl + 500ms < now;
      ++at;
      if (over)
        end_lease(id);
    }
  }

  void end_lease(std::uint64_t id) {
    leases_.erase(id);
    if (std::erase_if(keys, [&](const auto& k) { return k.second.lease == id; }) > 0)
      ++revision;
  }

  /// After a restart every lease begins anew.
  void restart() {
    for (auto& [id, each] : leases_)
      each.since = now;
  }

  std::size_t lease_count() const {
    return leases_.size();
  }

private:
  struct lease {
    std::chrono::seconds ttl{};
    time_point since;
  };

  static std::uint64_t number(const json& text) {
    return std::stoull(text.get<std::string>());
  }
  static std::string plain(const json& coded) {
    return from_base64(coded.get<std::string>()).value();
  }

  json keep_alive(const json& id) {
    const auto found = leases_.find(number(id));
    if (found == leases_.end())
      return {{"ID", id}};
    found->second.since = now;
    return {{"ID", id}, {"TTL", std::to_string(found->second.ttl.count())}};
  }

  json range(const std::string& from, const std::string& to) const {
    json out = json::array();
    for (const auto& [key, at] : keys)
      if (key >= from && key < to)
        out.push_back({{"key", to_base64(key)},
                       {"value", to_base64(at.value)},
                       {"mod_revision", std::to_string(at.revision)},
                       {"lease", std::to_string(at.lease)}});
    return out;
  }

  json transact(const json& in) {
    const auto& compare = in["compare"][0];
    const auto key = plain(compare["key"]);
    const auto found = keys.find(key);
    const auto is = found != keys.end() ? found->second.revision : 0;
    if (is != number(compare["mod_revision"]))
      return {
        {"responses", json::array({{{"response_range", {{"kvs", range(key, key + '\0')}}}}})}};
    const auto& put = in["success"][0]["request_put"];
    const auto bound_to = put.contains("lease") ? number(put["lease"]) : 0;
    if (bound_to != 0 && !leases_.contains(bound_to))
      return {{"error", "etcdserver: requested lease not found"}};
    keys[key] = {plain(put["value"]), ++revision, bound_to};
    return {{"succeeded", true}};
  }

  std::map<std::uint64_t, lease> leases_;
  std::uint64_t last_lease_ = 100;
};

/// The way from one node to the fake; the test breaks it.
class fake_gateway : public etcd_gateway {
public:
  explicit fake_gateway(fake_etcd& etcd) : etcd_(etcd) {}

  bool up = true;
  /// Requests still arrive and work, and their answers are lost.
  bool answers = true;
  bool watches = true;
  bool reads = true;
  int watch_count = 0;

  void call(std::string path, std::string body, answer done) override {
    pending_.push_back({std::move(path), std::move(body), std::move(done)});
  }
  void watch(std::string, std::function<void()> news, std::function<void()> ended) override {
    ++watch_count;
    news_ = std::move(news);
    ended_ = std::move(ended);
    seen_ = 0;
  }

  /// Answers what was asked, and what is asked because of that.
  void run() {
    for (int i = 0; i < 100 && !pending_.empty(); ++i) {
      auto next = std::move(pending_.front());
      pending_.pop_front();
      std::optional<std::string> result;
      if (up && (reads || next.path != "/v3/kv/range"))
        result = etcd_.handle(next.path, next.body);
      if (result && answers)
        next.done(*std::exchange(result, {}));
      else
        next.done(fail(errc::unavailable, "connect_failed"));
    }
    if (!up && ended_) {
      news_ = nullptr;
      std::exchange(ended_, nullptr)();
    }
    if (up && watches && news_ && std::exchange(seen_, etcd_.revision) != etcd_.revision)
      news_();
  }

private:
  struct request {
    std::string path;
    std::string body;
    answer done;
  };
  fake_etcd& etcd_;
  std::deque<request> pending_;
  std::function<void()> news_;
  std::function<void()> ended_;
  std::uint64_t seen_ = 0;
};

} // namespace skep::test
