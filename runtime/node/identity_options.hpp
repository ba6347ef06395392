#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/base/identity.hpp"
#include "runtime/config/document.hpp"

#include <cstdint>
#include <string>

// Which secret a node tells requests apart with (docs/adr/0012).
namespace skep::rt {

/// Where the secret comes from.
enum class identity_source : std::uint8_t {
  /// [node] identity_secret.
  configured,
  /// The file identity.secret in [node] data_dir, made at the first start.
  kept,
  /// The name of the cluster: the same on all nodes, and no secret.
  cluster_name,
  /// Made for this process and forgotten with it.
  process,
};

identity_source identity_source_of(const config::document& config);

/// What that means for whoever runs the node, in one sentence.
std::string describe(identity_source source);

/// The secret itself; makes and keeps one where data_dir says so. errc::bad_config when the file
/// cannot be read or written.
expected<identity_secret> load_identity(const config::document& config);

/// What nodes of a cluster compare; 0 when no secret is configured: then there is nothing to
/// compare.
std::uint64_t shared_fingerprint(const config::document& config);

/// The text in FOLDER/identity.secret; made, for its owner's eyes only, when it is not there yet.
expected<std::string> kept_identity(const std::string& folder);

} // namespace skep::rt
