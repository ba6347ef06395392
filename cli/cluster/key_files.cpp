#include "cli/cluster/key_files.hpp"

#include "cli/cluster/child_process.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

namespace skep::cli::cluster {

namespace {

constexpr std::size_t name_bytes_max = 64;
/// Of a Z85 key: 32 bytes as five characters for every four.
constexpr std::size_t key_characters = 40;

constexpr const char* identity_variable = "SKEP_IDENTITY_SECRET";

auto failed(const std::string& path) {
  return fail(errc::bad_config, path + ": " + std::strerror(errno));
}

/// Beside the file and renamed, so that nobody ever reads half of it.
expected<void> write_whole(const std::string& path, const std::string& text, mode_t mode) {
  const auto partial = path + ".partial";
  std::remove(partial.c_str());
  const owned_fd file{open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
  if (!file)
    return failed(partial);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())
      || fsync(file.get()) != 0 || std::rename(partial.c_str(), path.c_str()) != 0)
    return failed(path);
  return {};
}

} // namespace

std::string wrong_with_name(const std::string& name) {
  if (name.empty() || name.size() > name_bytes_max)
    return fmt::format("a node's name has 1 to {} characters", name_bytes_max);
  if (std::isalnum(static_cast<unsigned char>(name.front())) == 0)
    return "a node's name begins with a letter or a digit";
  const bool fine = std::all_of(name.begin(), name.end(), [](char each) {
    return std::isalnum(static_cast<unsigned char>(each)) != 0
           || std::string_view{"-_."}.find(each) != std::string_view::npos;
  });
  return fine ? "" : "a node's name has letters, digits, '-', '_' and '.' only";
}

expected<void> write_secret(const std::string& folder, const std::string& name,
                            const node_secrets& secrets, bool force) {
  const auto path = folder + "/" + name + ".env";
  if (!force && std::filesystem::exists(path))
    return fail(errc::bad_config, path + " exists; --force replaces the secret");
  // Quoted, because Z85 has characters that a shell would act on.
  return write_whole(path,
                     fmt::format("SKEP_CLUSTER_SECRET_KEY='{}'\n{}='{}'\n", secrets.secret_key,
                                 identity_variable, secrets.identity),
                     S_IRUSR | S_IWUSR);
}

std::map<std::string, std::string> read_variables(const std::string& folder,
                                                  const std::string& name) {
  std::map<std::string, std::string> found;
  std::ifstream in{folder + "/" + name + ".env"};
  for (std::string line; std::getline(in, line);) {
    const auto middle = line.find('=');
    if (middle == std::string::npos || middle == 0 || line.front() == '#')
      continue;
    auto text = line.substr(middle + 1);
    if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"')
        && text.back() == text.front())
      text = text.substr(1, text.size() - 2);
    found[line.substr(0, middle)] = std::move(text);
  }
  return found;
}

std::string known_identity(const std::string& folder) {
  std::error_code none;
  for (const auto& file : std::filesystem::directory_iterator{folder, none}) {
    if (file.path().extension() != ".env")
      continue;
    if (auto identity = read_variables(folder, file.path().stem())[identity_variable];
        !identity.empty())
      return identity;
  }
  return {};
}

public_keys read_public_keys(const std::string& folder) {
  public_keys keys;
  std::ifstream in{folder + "/public_keys.toml"};
  for (std::string line; std::getline(in, line);) {
    // As public_keys_toml() writes them: "name=key", in quotes of their own.
    const auto from = line.find('"');
    const auto to = line.rfind('"');
    const auto middle = line.find('=', from);
    if (from == std::string::npos || middle == std::string::npos || to <= middle
        || to - middle - 1 != key_characters)
      continue;
    keys.emplace_back(line.substr(from + 1, middle - from - 1),
                      line.substr(middle + 1, key_characters));
  }
  return keys;
}

public_keys merged(public_keys known, const public_keys& fresh) {
  std::map<std::string, std::string> all{known.begin(), known.end()};
  for (const auto& [name, key] : fresh)
    all[name] = key;
  return {all.begin(), all.end()};
}

std::string public_keys_toml(const public_keys& keys) {
  std::string text = "public_keys = [\n";
  for (const auto& [name, key] : keys)
    text += fmt::format("  \"{}={}\",\n", name, key);
  return text + "]\n";
}

expected<void> write_public_keys(const std::string& folder, const public_keys& keys) {
  return write_whole(folder + "/public_keys.toml",
                     "# For the [cluster] section of every node; none of this is secret.\n"
                       + public_keys_toml(keys),
                     S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
}

} // namespace skep::cli::cluster
