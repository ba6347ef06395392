#include "cli/cluster/fleet.hpp"
#include "tests/support/catch.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <thread>

using namespace skep;
using namespace skep::cli::cluster;

namespace {

/// Says it is ready and waits for the end, like a node. $0 is the ready file.
constexpr auto serve
  = "echo starting; echo 127.0.0.1:1 > $0.new; mv $0.new $0; exec tail -f /dev/null";

/// Runs shell scripts as a fleet; asks it to stop each time a text has come out.
class scripted_fleet {
public:
  explicit scripted_fleet(const std::vector<std::string>& scripts, bool restart = false) {
    REQUIRE(mkdtemp(folder_.data()) != nullptr);
    REQUIRE(pipe(out_.data()) == 0);
    REQUIRE(pipe2(stop_.data(), O_NONBLOCK) == 0);
    config_.ready_folder = folder_;
    config_.restart = restart;
    config_.backoff_min = 1ms;
    for (const auto& script : scripts) {
      const std::string name(1, static_cast<char>('a' + names_.size()));
      const auto ready = folder_ + "/" + name;
      config_.members.push_back({name, {"/bin/sh", "-c", script, ready}, {}, ready, 30s});
      names_.push_back(name);
    }
  }
  ~scripted_fleet() {
    for (const int fd : {out_[0], stop_[0], stop_[1]})
      close(fd);
    std::filesystem::remove_all(folder_);
  }
  fleet_config& config() {
    return config_;
  }

  /// The fleet's result; its whole output is in text() then.
  bool run(std::vector<std::string> stop_after) {
    bool fine = false;
    std::thread reader{[&] { read_all(std::move(stop_after)); }};
    {
      console out{out_[1], false, names_};
      fleet all{config_, out, stop_[0]};
      fine = all.run();
    }
    close(out_[1]);
    reader.join();
    return fine;
  }
  const std::string& text() const {
    return text_;
  }
  std::size_t count(const std::string& what) const {
    std::size_t times = 0;
    for (auto at = text_.find(what); at != std::string::npos; at = text_.find(what, at + 1))
      ++times;
    return times;
  }

private:
  void read_all(std::vector<std::string> stop_after) {
    std::array<char, 4'096> buffer;
    for (ssize_t got = 0; (got = read(out_[0], buffer.data(), buffer.size())) > 0;) {
      text_.append(buffer.data(), static_cast<std::size_t>(got));
      while (!stop_after.empty() && text_.find(stop_after.front()) != std::string::npos) {
        stop_after.erase(stop_after.begin());
        REQUIRE(write(stop_[1], "x", 1) == 1);
      }
    }
  }

  std::string folder_ = (std::filesystem::temp_directory_path() / "skep-fleet-XXXXXX").string();
  std::array<int, 2> out_{};
  std::array<int, 2> stop_{};
  fleet_config config_;
  std::vector<std::string> names_;
  std::string text_;
};

} // namespace

TEST_CASE("a fleet tells when all are ready, and ends all when it is told to", "[cli][cluster]") {
  // A shell that `trap`s ends with 0, as a node does after its drain.
  const auto polite
    = "trap 'echo bye; exit 0' TERM; echo starting; echo 127.0.0.1:1 > $0.new; mv $0.new $0; "
      "while :; do tail -f /dev/null & wait $!; done";
  scripted_fleet fleet{{polite, polite}};
  CHECK(fleet.run({"cluster: up, 2 nodes: http://127.0.0.1:1 http://127.0.0.1:1\n"}));
  CHECK(fleet.count("a | starting\n") == 1);
  CHECK(fleet.count("b | starting\n") == 1);
  CHECK(fleet.count("cluster: a ready on http://127.0.0.1:1 (pid ") == 1);
  CHECK(fleet.count("a | bye\n") == 1);
  CHECK(fleet.count("cluster: b ended (code 0)\n") == 1);
}

TEST_CASE("one that dies is told, and the others go on", "[cli][cluster]") {
  scripted_fleet fleet{{"echo oops >&2; kill -9 $$", serve}};
  CHECK(!fleet.run({"cluster: a exited (signal 9)"}));
  CHECK(fleet.count("a | oops\n") == 1);
  CHECK(fleet.count("cluster: stopping") == 1);
  CHECK(fleet.count("cluster: b ended") == 1);
}

TEST_CASE("when all have ended the fleet ends", "[cli][cluster]") {
  CHECK(scripted_fleet{{"exit 0", "exit 0"}}.run({}));
  scripted_fleet failing{{"exit 0", "printf 'no end of line'; exit 3"}};
  CHECK(!failing.run({}));
  CHECK(failing.count("b | no end of line\n") == 1);
  CHECK(failing.count("cluster: b exited (code 3)\n") == 1);
}

TEST_CASE("with restart one that died comes back, but not with a wrong configuration",
          "[cli][cluster]") {
  // The second life finds what the first one left.
  const auto twice
    = "test -e $0.lived && exec true; touch $0.lived; echo 127.0.0.1:1 > $0.new; mv $0.new $0; "
      "kill -9 $$";
  scripted_fleet fleet{{twice, "exit 2"}, true};
  CHECK(!fleet.run({}));
  CHECK(fleet.count("cluster: a exited (signal 9); starting again in 1 ms\n") == 1);
  CHECK(fleet.count("cluster: a exited (code 0)\n") == 1);
  CHECK(fleet.count("cluster: b exited (code 2)\n") == 1);
  CHECK(fleet.count("b exited (code 2); starting") == 0);
}

TEST_CASE("one that does not end in time is killed", "[cli][cluster]") {
  const auto stubborn
    = "trap '' TERM; echo 127.0.0.1:1 > $0.new; mv $0.new $0; while :; do tail -f /dev/null; done";
  scripted_fleet fleet{{stubborn}};
  fleet.config().members[0].stop_timeout = 50ms;
  CHECK(!fleet.run({"cluster: up, 1 node: "}));
  CHECK(fleet.count("cluster: took too long to stop; killing what still runs\n") == 1);
  CHECK(fleet.count("cluster: a ended (signal 9)\n") == 1);
}

TEST_CASE("what cannot be run is told as its exit", "[cli][cluster]") {
  scripted_fleet fleet{{"exit 0"}};
  fleet.config().members[0].command = {"/nowhere/at/all"};
  CHECK(!fleet.run({}));
  CHECK(fleet.count("cluster: a exited (code 127)\n") == 1);
}
