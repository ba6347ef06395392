#pragma once

#include "messages/cluster.hpp"
#include "runtime/base/expected.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What goes to etcd's JSON gateway and what comes back. Pure. Keys and values are base64 there, and
// 64-bit numbers are strings; readers take numbers as well. Answers may be any bytes whatever: what
// is no answer is errc::malformed.
namespace skep::rt::etcd {

// -- requests -------------------------------------------------------------------------------------

/// For /v3/lease/grant.
std::string grant_body(std::chrono::seconds ttl);
/// For /v3/lease/keepalive and /v3/lease/revoke.
std::string lease_body(std::uint64_t id);
/// For /v3/kv/range: all keys that begin with `prefix`, which must not be empty.
std::string range_body(std::string_view prefix);
/// For /v3/watch: changes of those keys from now on.
std::string watch_body(std::string_view prefix);
/// For /v3/kv/txn: puts the value if the key was last changed at `mod_revision` (0: there is no
/// such key), else reads the key. Lease 0: the key has none.
std::string put_if_body(std::string_view key, std::string_view value, std::uint64_t lease,
                        std::uint64_t mod_revision);

// -- answers --------------------------------------------------------------------------------------

struct key_value {
  std::string key;
  std::string value;
  std::uint64_t mod_revision = 0;
  std::uint64_t lease = 0;
  friend bool operator==(const key_value&, const key_value&) = default;
};

/// A lease as etcd granted or prolonged it; ttl 0: there is no such lease any more.
struct lease_answer {
  std::uint64_t id = 0;
  std::chrono::seconds ttl{0};
};
expected<lease_answer> read_grant(std::string_view body);
expected<lease_answer> read_keepalive(std::string_view body);

struct range_answer {
  /// Of the store when it was read.
  std::uint64_t revision = 0;
  std::vector<key_value> keys;
};
expected<range_answer> read_range(std::string_view body);

struct put_if_answer {
  bool done = false;
  /// Of the store after the transaction: the key's mod_revision if it was put.
  std::uint64_t revision = 0;
  /// The key as it is, when it was not put; nothing when it is gone.
  std::optional<key_value> found;
};
expected<put_if_answer> read_put_if(std::string_view body);

// -- values, in JSON for people with etcdctl ------------------------------------------------------

std::string member_text(const msg::member& node);
std::string view_text(const msg::cluster_view& view);
/// Nothing when it is not what member_text() writes; unknown fields are skipped.
std::optional<msg::member> read_member(std::string_view text);
/// The same for view_text(); the members must be sorted by name, each once.
std::optional<msg::cluster_view> read_view(std::string_view text);

} // namespace skep::rt::etcd
