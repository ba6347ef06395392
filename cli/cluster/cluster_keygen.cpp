#include "cli/cluster/key_files.hpp"
#include "cli/commands.hpp"
#include "runtime/base/identity.hpp"
#include "runtime/net/node_link.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <filesystem>

namespace skep::cli {

namespace {

using namespace cluster;

int complain(const std::string& what, int code) {
  fmt::print(stderr, "skep cluster keygen: {}\n", what);
  return code;
}

} // namespace

int cluster_keygen(const cluster_keygen_options& options) {
  for (const auto& name : options.names)
    if (const auto wrong = wrong_with_name(name); !wrong.empty())
      return complain("\"" + name + "\": " + wrong, exit_usage);
  // All or none: a set of which half is new would leave nodes that refuse each other.
  for (const auto& name : options.names)
    if (const auto path = options.folder + "/" + name + ".env";
        !options.force && std::filesystem::exists(path))
      return complain(path + " exists; --force replaces the secret", exit_failed);
  std::error_code failed;
  if (std::filesystem::create_directories(options.folder, failed))
    chmod(options.folder.c_str(), S_IRWXU);
  if (failed)
    return complain(options.folder + ": " + failed.message(), exit_failed);
  auto identity = known_identity(options.folder);
  if (identity.empty())
    identity = make_identity_secret();
  public_keys fresh;
  for (const auto& name : options.names) {
    const auto [public_key, secret_key] = net::make_link_keys();
    if (auto done = write_secret(options.folder, name, {secret_key, identity}, options.force);
        !done)
      return complain(done.error().detail, exit_failed);
    fresh.emplace_back(name, public_key);
  }
  const auto all = merged(read_public_keys(options.folder), fresh);
  if (auto done = write_public_keys(options.folder, all); !done)
    return complain(done.error().detail, exit_failed);
  fmt::print("# The secrets are in {}/NAME.env; in every node's configuration:\n[node]\n"
             "identity_secret = \"env.SKEP_IDENTITY_SECRET\"\n\n[cluster]\n"
             "secret_key = \"env.SKEP_CLUSTER_SECRET_KEY\"\n{}",
             options.folder, public_keys_toml(all));
  return exit_ok;
}

} // namespace skep::cli
