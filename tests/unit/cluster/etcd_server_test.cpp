// Against the real etcd (Debian's etcd-server), on free ports and in real time.
#include "runtime/cluster/etcd_membership.hpp"
#include "runtime/net/http_client.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/loopback.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace skep;
using namespace skep::rt;

namespace {

using names = std::vector<std::string>;

/// Nothing here takes longer on a machine that is not stuck.
constexpr duration patience = 20s;

/// Nothing: etcd is not installed.
std::string find_etcd() {
  std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
  for (std::size_t from = 0; from < path.size();) {
    const auto to = std::min(path.find(':', from), path.size());
    const auto file = path.substr(from, to - from) + "/etcd";
    if (::access(file.c_str(), X_OK) == 0)
      return file;
    from = to + 1;
  }
  return {};
}

/// One etcd with a data folder that goes away with it.
class etcd_server {
public:
  explicit etcd_server(std::string binary) : binary_(std::move(binary)) {
    std::string folder = (std::filesystem::temp_directory_path() / "skep-etcd-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    folder_ = folder;
    client_ = fmt::format("http://127.0.0.1:{}", test::free_port());
    peer_ = fmt::format("http://127.0.0.1:{}", test::free_port());
    start();
  }
  ~etcd_server() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void start() {
    std::vector<std::string> words{binary_,
                                   "--name=one",
                                   "--data-dir=" + folder_.string() + "/data",
                                   "--listen-client-urls=" + client_,
                                   "--advertise-client-urls=" + client_,
                                   "--listen-peer-urls=" + peer_,
                                   "--initial-advertise-peer-urls=" + peer_,
                                   "--initial-cluster=one=" + peer_};
    std::vector<char*> arguments;
    for (auto& each : words)
      arguments.push_back(each.data());
    arguments.push_back(nullptr);
    const auto log = (folder_ / "log").string();
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
      ::dup2(out, 1);
      ::dup2(out, 2);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
  }

  void kill() {
    if (process_ <= 0)
      return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

  const std::string& url() const {
    return client_;
  }

private:
  std::string binary_;
  std::filesystem::path folder_;
  std::string client_;
  std::string peer_;
  pid_t process_ = -1;
};

/// Tasks for the test's thread, which plays the link's.
class task_queue {
public:
  void push(std::function<void()> task) {
    const std::lock_guard lock{mutex_};
    tasks_.push_back(std::move(task));
    changed_.notify_one();
  }
  /// Runs what comes, for at most this long; less when something came.
  void run(duration longest) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, longest, [this] { return !tasks_.empty(); });
    auto tasks = std::exchange(tasks_, {});
    lock.unlock();
    for (auto& each : tasks)
      each();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
};

/// Cuts a node off as if its process had been killed: not even its lease is revoked.
class mortal_gateway : public etcd_gateway {
public:
  mortal_gateway(std::unique_ptr<etcd_gateway> under, std::shared_ptr<bool> alive)
    : under_(std::move(under)), alive_(std::move(alive)) {}
  void call(std::string path, std::string body, answer done) override {
    if (*alive_)
      under_->call(std::move(path), std::move(body), std::move(done));
  }
  void watch(std::string body, std::function<void()> news, std::function<void()> ended) override {
    if (*alive_)
      under_->watch(std::move(body), std::move(news), std::move(ended));
  }

private:
  std::unique_ptr<etcd_gateway> under_;
  std::shared_ptr<bool> alive_;
};

struct real_cluster {
  struct place {
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
    std::unique_ptr<membership> m;
    std::vector<view_ptr> installed;
  };
  etcd_server server;
  // Before the nodes: their gateways use both until they end.
  std::shared_ptr<task_queue> tasks = std::make_shared<task_queue>();
  net::http_client client{{}};
  std::map<std::string, place> places;

  std::chrono::seconds ttl;

  real_cluster(const std::string& binary, std::chrono::seconds lease)
    : server(binary), ttl(lease) {}

  void start(const std::string& name, std::uint64_t incarnation = 1) {
    auto& p = places[name];
    p.alive = std::make_shared<bool>(true);
    p.installed.clear();
    etcd_membership_config config;
    config.self = {name, incarnation, "tcp://" + name, 1, false};
    config.cluster = "test";
    // Nobody listens at the first one, so every request shows that the next is tried.
    config.endpoints = {"http://127.0.0.1:1", server.url()};
    config.ttl = ttl;
    auto gateway = make_etcd_gateway(config, client, [queue = tasks](std::function<void()> task) {
      queue->push(std::move(task));
    });
    p.m = make_etcd_membership(std::move(config),
                               std::make_unique<mortal_gateway>(std::move(gateway), p.alive),
                               {[&p](const view_ptr& v) { p.installed.push_back(v); }, nullptr});
  }

  /// Ticks and tasks, until the condition holds.
  bool until(const std::function<bool()>& condition, duration longest = patience) {
    const auto end = clock::now() + longest;
    while (clock::now() < end) {
      for (auto& [name, p] : places)
        if (p.m && *p.alive)
          p.m->tick(clock::now());
      if (condition())
        return true;
      tasks->run(50ms);
    }
    return false;
  }

  bool agree(const names& wanted) {
    for (const auto& name : wanted) {
      const auto& p = places.at(name);
      const auto view = p.m->view();
      if (!view || !p.m->has_quorum(clock::now()) || view->members.size() != wanted.size())
        return false;
      for (std::size_t i = 0; i < wanted.size(); ++i)
        if (view->members[i].name != wanted[i])
          return false;
      if (*view != *places.at(wanted[0]).m->view())
        return false;
    }
    return true;
  }

  std::string standings() {
    std::string out;
    for (auto& [name, p] : places)
      if (p.m)
        out += name + ": " + p.m->standing(clock::now()) + "\n";
    return out;
  }
};

/// The binary, or a loud way out where it is missing; there must be one where tests are for keeps.
std::string etcd_or_skip() {
  const auto binary = find_etcd();
  if (!binary.empty())
    return binary;
  if (std::getenv("CI") != nullptr || std::getenv("SKEP_CI") != nullptr)
    FAIL("etcd is not installed (apt install etcd-server)");
  WARN("SKIPPED: etcd is not installed (apt install etcd-server)");
  return {};
}

} // namespace

TEST_CASE("members find each other through a real etcd, and drop one that dies or leaves",
          "[cluster][etcd][server]") {
  const auto binary = etcd_or_skip();
  if (binary.empty())
    return;
  constexpr std::chrono::seconds ttl{3};
  real_cluster c{binary, ttl};
  c.start("a");
  c.start("b");
  const bool met = c.until([&] { return c.agree({"a", "b"}); });
  INFO(c.standings());
  REQUIRE(met);

  // A second process of the same name waits while the first one lives.
  auto former = std::exchange(c.places.at("b"), {});
  *former.alive = false;
  c.start("b", 2);
  CHECK(c.until([&] {
    return c.places.at("b").m->standing(clock::now())
           == "the name b is taken in etcd by incarnation 1, until its lease ends";
  }));
  // The first one is dead, so the second one follows it.
  CHECK(c.until([&] {
    return c.agree({"a", "b"}) && c.places.at("a").m->view()->members[1].incarnation == 2;
  }));

  const auto died = clock::now();
  *c.places.at("b").alive = false;
  CHECK(c.until([&] { return c.agree({"a"}); }));
  CHECK(clock::now() - died < 2 * ttl);

  c.start("c");
  CHECK(c.until([&] { return c.agree({"a", "c"}); }));
  c.places.at("c").m->drain(clock::now());
  CHECK(c.until([&] {
    return c.agree({"a", "c"}) && c.places.at("a").m->view()->members[1].draining;
  }));
  c.places.at("c").m.reset();
  const auto left = clock::now();
  CHECK(c.until([&] { return c.agree({"a"}); }));
  CHECK(clock::now() - left < 2s);
}

TEST_CASE("a real etcd may be killed and come back", "[cluster][etcd][server]") {
  const auto binary = etcd_or_skip();
  if (binary.empty())
    return;
  // At worst two thirds are left when etcd dies, and it needs about 2 s to be back.
  constexpr std::chrono::seconds ttl{7};
  real_cluster c{binary, ttl};
  c.start("a");
  c.start("b");
  REQUIRE(c.until([&] { return c.agree({"a", "b"}); }));
  const auto views = c.places.at("a").installed.size() + c.places.at("b").installed.size();

  // Away for less than the lease: nobody stops owning for a moment.
  c.server.kill();
  bool owned = true;
  const auto owning = [&] {
    for (auto& [name, p] : c.places)
      owned = owned && p.m->has_quorum(clock::now());
    return false;
  };
  c.until(owning, 300ms);
  c.server.start();
  c.until(owning, duration{ttl} + 1s);
  CHECK(owned);
  CHECK(c.agree({"a", "b"}));
  CHECK(c.places.at("a").installed.size() + c.places.at("b").installed.size() == views);

  // For longer: they stop, and register again by themselves.
  c.server.kill();
  CHECK(c.until([&] {
    return !c.places.at("a").m->has_quorum(clock::now())
           && !c.places.at("b").m->has_quorum(clock::now());
  }));
  CHECK(c.places.at("a").m->standing(clock::now()).find("etcd is silent") == 0);
  c.server.start();
  const bool back = c.until([&] { return c.agree({"a", "b"}); });
  INFO(c.standings());
  CHECK(back);
}
