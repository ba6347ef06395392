#include "actors/roles.hpp"
#include "cli/cluster/fleet.hpp"
#include "cli/commands.hpp"
#include "cli/load.hpp"
#include "runtime/node/node.hpp"

#include <fmt/core.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

namespace skep::cli {

namespace {

using namespace cluster;
namespace fs = std::filesystem;

/// Beyond its own drain time-out: for threads, logs and sockets to end.
constexpr duration stop_slack = 5s;

/// A folder for the ready files, gone with this object.
class ready_folder {
public:
  ready_folder() {
    std::error_code none;
    auto pattern = (fs::temp_directory_path(none) / "skep-cluster-XXXXXX").string();
    if (!none && mkdtemp(pattern.data()) != nullptr)
      path_ = pattern;
  }
  ready_folder(const ready_folder&) = delete;
  ready_folder& operator=(const ready_folder&) = delete;
  ~ready_folder() {
    std::error_code ignored;
    if (!path_.empty())
      fs::remove_all(path_, ignored);
  }
  /// Empty when it could not be made.
  const std::string& path() const {
    return path_;
  }

private:
  std::string path_;
};

/// The files named, those of folders in the order of their names; nothing after saying why.
std::optional<std::vector<std::string>> files_of(const std::vector<std::string>& given) {
  std::vector<std::string> files;
  for (const auto& each : given) {
    std::error_code failed;
    if (!fs::is_directory(each, failed)) {
      files.push_back(each);
      continue;
    }
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator{each, failed})
      if (entry.path().extension() == ".toml")
        found.push_back(entry.path().string());
    if (found.empty()) {
      fmt::print(stderr, "skep cluster up: there is no *.toml in {}\n", each);
      return std::nullopt;
    }
    std::sort(found.begin(), found.end());
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::vector<std::string> command_of(const std::string& file, const std::string& ready,
                                    const std::vector<std::string>& sets) {
  std::vector<std::string> command{"/proc/self/exe", "run", file, "--ready-file", ready};
  for (const auto& set : sets) {
    command.push_back("--set");
    command.push_back(set);
  }
  return command;
}

/// Checks every configuration before anything starts; nothing after telling what is wrong.
std::optional<std::vector<fleet_member>> plan(const std::vector<std::string>& files,
                                              const std::vector<std::string>& sets,
                                              const std::string& folder) {
  const auto roles = actors::all_roles();
  std::vector<fleet_member> members;
  std::map<std::string, std::string> file_of;
  bool fine = true;
  for (const auto& file : files) {
    const auto document = load_config(file, sets, roles);
    if (!document) {
      fine = false;
      continue;
    }
    const auto& node = document->get<rt::node_config>("node");
    if (const auto [first, fresh] = file_of.emplace(node.name, file); !fresh) {
      fmt::print(stderr, "{}: node.name is \"{}\", as in {}; every node needs a name of its own\n",
                 file, node.name, first->second);
      fine = false;
      continue;
    }
    const auto ready = folder + "/" + std::to_string(members.size()) + ".ready";
    members.push_back(
      {node.name, command_of(file, ready, sets), ready, node.drain_timeout + stop_slack});
  }
  return fine ? std::optional{std::move(members)} : std::nullopt;
}

/// SIGINT and SIGTERM as a descriptor; blocked from now on, in threads to come as well.
owned_fd stop_requests() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return owned_fd{signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
}

} // namespace

int cluster_up(const cluster_up_options& options) {
  const ready_folder folder;
  if (folder.path().empty()) {
    fmt::print(stderr, "skep cluster up: no temporary folder: {}\n", std::strerror(errno));
    return exit_failed;
  }
  const auto files = files_of(options.configs);
  if (!files)
    return exit_usage;
  auto members = plan(*files, options.sets, folder.path());
  if (!members)
    return exit_usage;
  std::vector<std::string> names;
  for (const auto& member : *members)
    names.push_back(member.name);
  // Whoever read our output may have gone; the nodes go on.
  std::signal(SIGPIPE, SIG_IGN);
  const auto stop = stop_requests();
  console out{STDOUT_FILENO, isatty(STDOUT_FILENO) != 0, names};
  fleet_config config;
  config.members = std::move(*members);
  config.ready_folder = folder.path();
  config.restart = options.restart;
  fleet all{std::move(config), out, stop.get()};
  return all.run() ? exit_ok : exit_failed;
}

} // namespace skep::cli
