#include "runtime/base/log.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/log_folder.hpp"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace skep;

using skep::test::log_folder;

namespace {

/// Sends stderr to a file while it lives.
class captured_stderr {
public:
  explicit captured_stderr(const std::string& file) : kept_(dup(STDERR_FILENO)) {
    const int to = open(file.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    std::fflush(stderr);
    dup2(to, STDERR_FILENO);
    close(to);
  }
  captured_stderr(const captured_stderr&) = delete;
  captured_stderr& operator=(const captured_stderr&) = delete;
  ~captured_stderr() {
    std::fflush(stderr);
    dup2(kept_, STDERR_FILENO);
    close(kept_);
  }

private:
  int kept_;
};

/// What follows the time stamp of a line; throws when it does not start with one like
/// 2026-11-21T04:41:44.123Z.
std::string after_time(const std::string& line) {
  const std::string shape = "dddd-dd-ddTdd:dd:dd.dddZ";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const char c = i < line.size() ? line[i] : '?';
    if (shape[i] == 'd' ? c < '0' || c > '9' : c != shape[i])
      throw std::runtime_error{"no time stamp: " + line};
  }
  return line.substr(shape.size());
}

/// Counts how often it is formatted.
struct probe {
  int* formatted;
};

} // namespace

template <>
struct fmt::formatter<probe> {
  constexpr auto parse(format_parse_context& ctx) {
    return ctx.begin();
  }
  auto format(const probe& p, format_context& ctx) const {
    if (++*p.formatted > 1)
      throw std::runtime_error{"once is enough"};
    return ctx.out();
  }
};

TEST_CASE("a text line has time, level, request id and text", "[base][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config()));
  log::info("breaker {} opened after {} failures", "openai", 5);
  log::warn(log::request{"0190-ab"}, "cut after {} chunks", 3);
  log::error("plain");
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 3);
  CHECK(after_time(lines[0]) == " info [-] breaker openai opened after 5 failures");
  CHECK(after_time(lines[1]) == " warn [0190-ab] cut after 3 chunks");
  CHECK(after_time(lines[2]) == " error [-] plain");
}

TEST_CASE("a JSON line is one object with ts, level, msg and request_id", "[base][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config(true)));
  log::info(log::request{"0190-ab"}, "said \"{}\" \\ {}", "h\xC3\xA9llo\n", 1);
  log::error("no request");
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 2);
  const auto first = nlohmann::json::parse(lines[0]);
  CHECK(first.at("msg") == "said \"h\xC3\xA9llo\n\" \\ 1");
  CHECK(first.at("level") == "info");
  CHECK(first.at("request_id") == "0190-ab");
  CHECK(after_time(first.at("ts").get<std::string>()).empty());
  const auto second = nlohmann::json::parse(lines[1]);
  CHECK(second.at("level") == "error");
  CHECK_FALSE(second.contains("request_id"));
}

TEST_CASE("events below the level are not written and not even formatted", "[base][log]") {
  const log_folder folder;
  auto config = folder.config();
  config.level = log::level::warn;
  REQUIRE(log::init(config));
  int formatted = 0;
  log::debug("{}", probe{&formatted});
  log::info("{}", probe{&formatted});
  CHECK(formatted == 0);
  log::warn("{}", probe{&formatted});
  CHECK(formatted == 1);
  CHECK_FALSE(log::enabled(log::level::info));
  CHECK(log::enabled(log::level::error));
  CHECK(folder.lines().size() == 1);
}

TEST_CASE("level off silences errors too", "[base][log]") {
  const log_folder folder;
  auto config = folder.config();
  config.level = log::level::off;
  REQUIRE(log::init(config));
  log::error("nobody hears this");
  CHECK(folder.lines().empty());
}

TEST_CASE("no field can forge a second line or another column", "[base][log]") {
  const std::string evil = "x\n2026-01-01T00:00:00.000Z error [-] forged\r\t\x1B[2J\x7F"
                           "\xC2\x9B\xC2\x85\xE2\x80\xA8\xFF";
  for (const bool json : {false, true}) {
    const log_folder folder;
    REQUIRE(log::init(folder.config(json)));
    log::info(log::request{"id] fake [x\n"}, "got {}", evil);
    const auto lines = folder.lines();
    REQUIRE(lines.size() == 1);
    for (const char c : lines[0])
      REQUIRE((static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7F));
    if (!json) {
      CHECK(lines[0].find("[id\\x5d\\x20fake\\x20\\x5bx\\n] got x\\n2026") != std::string::npos);
      CHECK(
        lines[0].ends_with("forged\\r\\t\\x1b[2J\\x7f\\xc2\\x9b\\xc2\\x85\\xe2\\x80\\xa8\\xff"));
    }
  }
}

TEST_CASE("a long text is cut and says by how much", "[base][log]") {
  const log_folder folder;
  auto config = folder.config();
  config.text_bytes_max = 10;
  REQUIRE(log::init(config));
  log::info("{}", std::string(1000, 'a'));
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with("] aaaaaaaaaa (cut by 990 bytes)"));
}

TEST_CASE("lines of four threads arrive whole and each thread's in order", "[base][log]") {
  const log_folder folder;
  auto config = folder.config();
  config.queue_max = 4000;
  const auto lost = log::dropped();
  REQUIRE(log::init(config));
  CHECK(log::queue_max() == 4000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 1000; ++i)
        log::info("thread {} line {}", t, i);
    });
  for (auto& t : threads)
    t.join();
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 4000);
  CHECK(log::dropped() == lost);
  int next[4] = {};
  for (const auto& line : lines) {
    int thread = -1;
    int number = -1;
    REQUIRE(std::sscanf(after_time(line).c_str(), " info [-] thread %d line %d", &thread, &number)
            == 2);
    REQUIRE((thread >= 0 && thread < 4));
    REQUIRE(number == next[thread]++);
  }
}

TEST_CASE("a full queue loses the oldest lines, counts them and blocks nobody", "[base][log]") {
  const log_folder folder;
  REQUIRE(mkfifo(folder.file().c_str(), 0600) == 0);
  const int reader = open(folder.file().c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  fcntl(reader, F_SETPIPE_SZ, 4096);
  auto config = folder.config();
  config.queue_max = 8;
  const auto lost = log::dropped();
  REQUIRE(log::init(config));
  // Nobody reads: the writer thread hangs in write() once the pipe is full.
  constexpr std::size_t events = 2000;
  for (std::size_t i = 0; i < events; ++i)
    log::info("event {} {}", i, std::string(100, '.'));
  CHECK(log::queue_depth() <= 8);
  CHECK(log::dropped() > lost);
  fcntl(reader, F_SETFL, 0);
  std::string got;
  std::thread drain{[&] {
    char block[4096];
    for (ssize_t n = 0; (n = read(reader, block, sizeof block)) > 0;)
      got.append(block, static_cast<std::size_t>(n));
  }};
  log::shutdown();
  drain.join();
  close(reader);
  const auto written = static_cast<std::size_t>(std::count(got.begin(), got.end(), '\n'));
  CHECK(written + (log::dropped() - lost) == events);
  CHECK(got.find("event 1999 ") != std::string::npos);
}

TEST_CASE("before init and after shutdown events go to stderr at once", "[base][log]") {
  const log_folder folder;
  log::shutdown();
  {
    const captured_stderr capture{folder.file()};
    log::info(log::request{"r1"}, "early {}", 1);
    log::debug("below the default level");
  }
  CHECK(log::queue_max() == 0);
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with("info [r1] early 1"));
}

TEST_CASE("without a file the log goes to stderr", "[base][log]") {
  const log_folder folder;
  {
    const captured_stderr capture{folder.file()};
    REQUIRE(log::init({}));
    log::warn("queued");
    log::shutdown();
  }
  const auto lines = folder.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with("warn [-] queued"));
}

TEST_CASE("fields are members of a JSON line and readable in a text line", "[base][log]") {
  const std::array fields{log::field{"method", "POST", true}, log::field{"status", 502},
                          log::field{"ms", 1.25}, log::field{"model", "a=b"},
                          log::field{"reason", "it \"broke\"\nsee"}};
  for (const bool json : {false, true}) {
    const log_folder folder;
    REQUIRE(log::init(folder.config(json)));
    log::tell(log::level::warn, log::request{"r1"}, "request", fields);
    log::tell(log::level::debug, {}, "not wanted", fields);
    const auto lines = folder.lines();
    REQUIRE(lines.size() == 1);
    if (!json) {
      CHECK(after_time(lines[0])
            == R"( warn [r1] request POST status=502 ms=1.2 model="a=b" )"
               R"(reason="it \x22broke\x22\nsee")");
      continue;
    }
    const auto line = nlohmann::json::parse(lines[0]);
    CHECK(line.at("msg") == "request");
    CHECK(line.at("method") == "POST");
    CHECK(line.at("status") == 502);
    CHECK(line.at("ms") == 1.25);
    CHECK(line.at("reason") == "it \"broke\"\nsee");
    CHECK(line.at("request_id") == "r1");
  }
}

TEST_CASE("a log that was moved away is opened again, and no line is lost", "[base][log]") {
  const log_folder folder;
  const auto lost = log::dropped();
  REQUIRE(log::init(folder.config()));
  for (int i = 0; i < 100; ++i)
    log::info("before {}", i);
  const auto old = folder.file() + ".1";
  std::filesystem::rename(folder.file(), old);
  log::reopen();
  for (int i = 0; i < 100; ++i)
    log::info("after {}", i);
  const auto fresh = folder.lines();
  // What still waited when the log was opened again may stand in either file, once.
  std::ifstream in{old};
  std::size_t kept = 0;
  for (std::string line; std::getline(in, line);)
    ++kept;
  CHECK(kept + fresh.size() == 200);
  REQUIRE_FALSE(fresh.empty());
  CHECK(fresh.back().ends_with("after 99"));
  CHECK(log::dropped() == lost);
}

TEST_CASE("a log that cannot be opened again goes on in the old file", "[base][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config()));
  log::info("one");
  const auto old = folder.file() + ".1";
  std::filesystem::rename(folder.file(), old);
  std::filesystem::create_directory(folder.file());
  log::reopen();
  log::info("two");
  log::shutdown();
  std::ifstream in{old};
  std::string line;
  REQUIRE(std::getline(in, line));
  REQUIRE(std::getline(in, line));
  CHECK(line.ends_with("two"));
}

TEST_CASE("a reader that takes nothing does not keep the log from ending", "[base][log]") {
  const log_folder folder;
  REQUIRE(mkfifo(folder.file().c_str(), 0600) == 0);
  const int reader = open(folder.file().c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  fcntl(reader, F_SETPIPE_SZ, 4096);
  const auto lost = log::dropped();
  REQUIRE(log::init(folder.config()));
  for (int i = 0; i < 100; ++i)
    log::info("{}", std::string(200, '.'));
  log::shutdown(std::chrono::milliseconds{20}); // Without a bound this would never come back.
  CHECK(log::dropped() > lost);
  close(reader);
}

TEST_CASE("wrong set-ups are refused and leave the log as it was", "[base][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config()));
  auto bad = folder.config();
  bad.queue_max = 0;
  const auto no_queue = log::init(bad);
  REQUIRE_FALSE(no_queue);
  CHECK(no_queue.error().code == errc::bad_config);
  bad = folder.config();
  bad.file = folder.file() + "/is/no/folder";
  const auto no_file = log::init(bad);
  REQUIRE_FALSE(no_file);
  CHECK(no_file.error().code == errc::bad_config);
  log::info("still here");
  CHECK(folder.lines().size() == 1);
}

TEST_CASE("a new set-up while others log loses no line", "[base][log]") {
  const log_folder folder;
  const auto lost = log::dropped();
  REQUIRE(log::init(folder.config()));
  std::thread busy{[] {
    for (int i = 0; i < 1000; ++i)
      log::info("line {}", i);
  }};
  for (int i = 0; i < 20; ++i)
    REQUIRE(log::init(folder.config()));
  busy.join();
  CHECK(folder.lines().size() + (log::dropped() - lost) == 1000);
}

TEST_CASE("a field whose formatting throws loses its event and nothing else", "[base][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config()));
  const auto lost = log::dropped();
  int formatted = 1;
  log::info("{}", probe{&formatted});
  log::info("next");
  CHECK(log::dropped() == lost + 1);
  CHECK(folder.lines().size() == 1);
}

TEST_CASE("lines a full disk refuses are counted", "[base][log]") {
  const log_folder folder;
  auto config = folder.config();
  config.file = "/dev/full";
  const auto lost = log::dropped();
  REQUIRE(log::init(config));
  for (int i = 0; i < 10; ++i)
    log::info("line {}", i);
  log::shutdown();
  CHECK(log::dropped() == lost + 10);
}

TEST_CASE("redacted shows a length only", "[base][log]") {
  CHECK(log::redacted("sk-very-secret") == "<redacted, 14 bytes>");
  CHECK(log::redacted("") == "<redacted, 0 bytes>");
}

TEST_CASE("levels are read and written by name", "[base][log]") {
  for (const char* name : {"debug", "info", "warn", "error", "off"}) {
    const auto l = log::parse_level(name);
    REQUIRE(l);
    CHECK(log::to_string(*l) == name);
  }
  CHECK_FALSE(log::parse_level("INFO"));
  CHECK_FALSE(log::parse_level(""));
}
