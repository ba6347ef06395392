#include "actors/roles.hpp"
#include "cli/cluster/fleet.hpp"
#include "cli/cluster/key_files.hpp"
#include "cli/commands.hpp"
#include "program/load.hpp"
#include "program/serving.hpp"
#include "runtime/config/parse.hpp"
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
#include <fstream>
#include <map>
#include <sstream>

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

/// The [node] name a file gives, which says whose keys are meant; the default without one. What is
/// wrong with the file is told when it is read as a whole.
std::string node_name_in(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  const auto tree = config::parse(text.str(), file);
  const auto* top = tree ? std::get_if<config::object>(&tree->data) : nullptr;
  for (const auto* key : {"node", "name"}) {
    if (top == nullptr)
      break;
    const auto found = std::find_if(top->begin(), top->end(),
                                    [&](const config::member& each) { return each.key == key; });
    if (found == top->end())
      break;
    if (const auto* name = std::get_if<std::string>(&found->held.data))
      return *name;
    top = std::get_if<config::object>(&found->held.data);
  }
  return rt::node_config{}.name;
}

/// Checks every configuration before anything starts; nothing after telling what is wrong.
std::optional<std::vector<fleet_member>> plan(const std::vector<std::string>& files,
                                              const cluster_up_options& options,
                                              const std::string& folder) {
  const auto roles = actors::all_roles();
  std::vector<fleet_member> members;
  std::map<std::string, std::string> file_of;
  bool fine = true;
  for (const auto& file : files) {
    auto keys = read_variables(options.keys, node_name_in(file));
    const auto document = program::load_config(file, options.sets, roles, keys);
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
    members.push_back({node.name, command_of(file, ready, options.sets), std::move(keys), ready,
                       node.drain_timeout + stop_slack});
  }
  return fine ? std::optional{std::move(members)} : std::nullopt;
}

/// SIGINT, SIGTERM and SIGHUP (the terminal is closed) as a descriptor; blocked from now on, in
/// threads to come as well.
owned_fd stop_requests() {
  const auto set = program::signal_set({SIGTERM, SIGINT, SIGHUP});
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
  auto members = plan(*files, options, folder.path());
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
