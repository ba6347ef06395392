#pragma once

#include "actors/gateway/endpoints.hpp"
#include "runtime/base/expected.hpp"

#include <array>
#include <memory>
#include <string_view>
#include <vector>

namespace skep::actors {

/// What a path stands for.
struct served_endpoint {
  endpoint what = endpoint::unknown;
  /// As metrics show it; lives as long as the table.
  std::string_view path;
  std::string_view methods;
  access who = access::open;
  /// Null: the gateway, or, for a probe, the listener itself.
  caf::actor served_by;

  /// Tells of the node or steers it: served however many requests are at work, and at
  /// `[admin] listen` where there is one.
  bool is_operational() const {
    return who == access::admin || is_probe(what);
  }
};

/// Everything that clients may ask for: what the gateway serves itself, and what other roles do.
/// Immutable, so any thread may ask.
class endpoint_table {
public:
  /// errc::bad_config names the path that is no normal one, or is there twice.
  static expected<std::shared_ptr<const endpoint_table>>
  make(const std::vector<rt::http_endpoint>& registered);
  /// What the gateway serves itself.
  endpoint_table();

  /// What a normal path stands for; endpoint::unknown when it stands for nothing.
  const served_endpoint& find(std::string_view path) const;

private:
  std::vector<std::unique_ptr<const rt::http_endpoint>> kept_; // What others_ refers to.
  std::array<served_endpoint, endpoint_count> own_;
  std::vector<served_endpoint> others_; // The longest path first.
};

} // namespace skep::actors
