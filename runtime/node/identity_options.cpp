#include "runtime/node/identity_options.hpp"

#include "runtime/base/log.hpp"
#include "runtime/node/cluster_options.hpp"
#include "runtime/node/node.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

namespace skep::rt {

namespace {

constexpr const char* file_name = "identity.secret";
// More than any secret we make, and a line end.
constexpr std::size_t file_bytes_max = 4096;

tl::unexpected<failure> broken(const std::string& path, const std::string& what) {
  return fail(errc::bad_config, fmt::format("the identity secret {} {}", path, what));
}

std::string system_error_text() {
  return std::error_code{errno, std::generic_category()}.message();
}

/// Nothing when there is no such file.
expected<std::optional<std::string>> read_secret(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT)
      return std::optional<std::string>{};
    return broken(path, "cannot be read: " + system_error_text());
  }
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    log::warn("the identity secret {} is open to others; chmod 600 closes it", path);
  std::ifstream in{path, std::ios::binary};
  std::array<char, file_bytes_max> bytes{};
  in.read(bytes.data(), bytes.size());
  const std::string_view read{bytes.data(), static_cast<std::size_t>(in.gcount())};
  std::string text{read.substr(0, read.find_last_not_of("\r\n") + 1)};
  if (text.size() < identity_secret::bytes_min)
    return broken(path, fmt::format("has less than {} bytes; delete it and a new one is made",
                                    identity_secret::bytes_min));
  return std::optional{std::move(text)};
}

/// Puts a new one where none is; false when somebody else was faster.
expected<bool> write_secret(const std::string& path, const std::string& secret) {
  const auto fresh = fmt::format("{}.{}", path, getpid());
  const int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0)
    return broken(fresh, "cannot be made: " + system_error_text());
  const auto text = secret + "\n";
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size())
                       && fsync(file) == 0;
  close(file);
  // A link, unlike a rename, does not replace what is there.
  const bool linked = written && link(fresh.c_str(), path.c_str()) == 0;
  const auto why = errno;
  unlink(fresh.c_str());
  if (linked || (written && why == EEXIST))
    return linked;
  errno = why;
  return broken(path, "cannot be written: " + system_error_text());
}

} // namespace

identity_source identity_source_of(const config::document& config) {
  const auto& node = config.get<node_config>("node");
  if (!node.identity_secret.empty())
    return identity_source::configured;
  if (!config.get<cluster_options>("cluster").name.empty())
    return identity_source::cluster_name;
  return node.data_dir.empty() ? identity_source::process : identity_source::kept;
}

std::string describe(identity_source source) {
  switch (source) {
    case identity_source::configured: return "requests are told apart under node.identity_secret";
    case identity_source::kept:
      return "requests are told apart under a secret kept in node.data_dir; another node finds "
             "nothing of this one's in a Redis they share, unless both have node.identity_secret";
    case identity_source::cluster_name:
      return "requests are told apart under the cluster's name, which is no secret; "
             "node.identity_secret, the same on every node, sets one (skep cluster keygen)";
    case identity_source::process:
      return "requests are told apart under a secret of this process; what it puts into Redis "
             "nobody finds after its end, unless node.identity_secret or node.data_dir is set";
  }
  return {};
}

expected<std::string> kept_identity(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return fail(errc::bad_config,
                fmt::format("the data folder {} cannot be made: {}", folder, error.message()));
  const auto path = folder + "/" + file_name;
  auto known = read_secret(path);
  if (!known)
    return fail(known.error());
  if (*known)
    return std::move(**known);
  auto made = make_identity_secret();
  const auto mine = write_secret(path, made);
  if (!mine)
    return fail(mine.error());
  if (*mine) {
    log::info("made the identity secret {}", path);
    return made;
  }
  auto theirs = read_secret(path);
  if (!theirs)
    return fail(theirs.error());
  return *theirs ? expected<std::string>{std::move(**theirs)} : broken(path, "comes and goes");
}

expected<identity_secret> load_identity(const config::document& config) {
  const auto& node = config.get<node_config>("node");
  switch (identity_source_of(config)) {
    case identity_source::configured: return identity_secret{node.identity_secret.reveal()};
    case identity_source::kept: {
      auto text = kept_identity(node.data_dir);
      if (!text)
        return fail(text.error());
      return identity_secret{*text};
    }
    case identity_source::cluster_name:
      return identity_secret{"skep cluster: " + config.get<cluster_options>("cluster").name};
    case identity_source::process: break;
  }
  return identity_secret::random();
}

std::uint64_t shared_fingerprint(const config::document& config) {
  const auto& secret = config.get<node_config>("node").identity_secret;
  return secret.empty() ? 0 : identity_secret{secret.reveal()}.fingerprint();
}

} // namespace skep::rt
