#pragma once

#include "runtime/base/expected.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

// The files of `skep cluster keygen`: a secret per node, and the list of public keys for all.
namespace skep::cli::cluster {

/// Why a text cannot be a node's name in a file name and in "name=key"; empty when it can: letters,
/// digits, '-', '_' and '.', not first, at most 64.
std::string wrong_with_name(const std::string& name);

/// What a node keeps to itself.
struct node_secrets {
  /// Its own CURVE key.
  std::string secret_key;
  /// That of the cluster, under which all nodes tell requests apart.
  std::string identity;
};

/// Writes FOLDER/NAME.env with the secrets, readable by its owner only, on disk as a whole or not
/// at all. errc::bad_config when it exists and `force` is not set, or cannot be written.
expected<void> write_secret(const std::string& folder, const std::string& name,
                            const node_secrets& secrets, bool force);

/// The identity secret that the nodes with a file in the folder have already; empty when none has.
std::string known_identity(const std::string& folder);

/// The variables of FOLDER/NAME.env: a line NAME=VALUE each, in quotes or not. Empty when there is
/// no such file.
std::map<std::string, std::string> read_variables(const std::string& folder,
                                                  const std::string& name);

/// Name and public key.
using public_keys = std::vector<std::pair<std::string, std::string>>;

/// What FOLDER/public_keys.toml lists; empty when there is none.
public_keys read_public_keys(const std::string& folder);

/// `known` with `fresh` added or put in place of equal names, sorted by name.
public_keys merged(public_keys known, const public_keys& fresh);

/// The lines for the [cluster] section of every node.
std::string public_keys_toml(const public_keys& keys);

/// FOLDER/public_keys.toml. errc::bad_config when it cannot be written.
expected<void> write_public_keys(const std::string& folder, const public_keys& keys);

} // namespace skep::cli::cluster
