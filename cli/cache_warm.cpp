#include "cli/cache/prompts.hpp"
#include "cli/commands.hpp"
#include "cli/http.hpp"
#include "runtime/base/clock.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

namespace skep::cli {

namespace {

// Models take their time; a gateway's own deadline is shorter as a rule.
constexpr auto answer_timeout = std::chrono::minutes{10};
constexpr std::uint64_t complaints_max = 10;
constexpr auto progress_pause = std::chrono::milliseconds{200};

/// What became of the prompts so far; the fetch thread writes, the command's thread reads.
class ledger {
public:
  explicit ledger(std::uint32_t in_flight_max) : in_flight_max_(in_flight_max) {}

  /// Waits until one more may be sent, for `patience` at most; true when it may.
  bool wait_for_room(std::chrono::milliseconds patience) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, patience, [this] { return in_flight_ < in_flight_max_; });
  }
  bool wait_until_idle(std::chrono::milliseconds patience) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, patience, [this] { return in_flight_ == 0; });
  }
  void sent() {
    std::lock_guard guard{mutex_};
    ++in_flight_;
  }
  /// `how` is what the cache did.
  void answered(const std::string& how) {
    end([&] { ++by_word_[how]; });
  }
  void failed(std::uint64_t line, const std::string& why) {
    end([&] { complain(fmt::format("line {}: {}", line, why)); });
  }
  /// A prompt that was never sent.
  void refused(const std::string& why) {
    std::lock_guard guard{mutex_};
    complain(why);
  }
  void show_progress() {
    std::lock_guard guard{mutex_};
    fmt::print(stderr, "\r{} answered, {} failed, {} under way ", answers(), failures_, in_flight_);
    std::fflush(stderr);
  }
  void print_summary(double seconds) {
    std::lock_guard guard{mutex_};
    if (failures_ > complaints_max)
      fmt::print(stderr, "skep cache warm: and {} more\n", failures_ - complaints_max);
    fmt::print("{} prompts in {:.1f} s:", answers() + failures_, seconds);
    for (const auto& [word, count] : by_word_)
      fmt::print(" {} {},", count, word);
    fmt::print(" {} failed\n", failures_);
  }
  std::uint64_t failures() {
    std::lock_guard guard{mutex_};
    return failures_;
  }

private:
  template <class Note>
  void end(Note&& note) {
    {
      std::lock_guard guard{mutex_};
      --in_flight_;
      note();
    }
    changed_.notify_all();
  }
  void complain(const std::string& why) {
    if (++failures_ <= complaints_max)
      fmt::print(stderr, "{}skep cache warm: {}\n", isatty(STDERR_FILENO) != 0 ? "\r" : "", why);
  }
  std::uint64_t answers() const {
    std::uint64_t sum = 0;
    for (const auto& [word, count] : by_word_)
      sum += count;
    return sum;
  }

  const std::uint32_t in_flight_max_;
  std::mutex mutex_; // Guards everything below.
  std::condition_variable changed_;
  std::uint32_t in_flight_ = 0;
  std::map<std::string, std::uint64_t> by_word_;
  std::uint64_t failures_ = 0;
};

/// Tells the ledger how one prompt ended.
class answer_watch final : public net::fetch_handler {
public:
  answer_watch(ledger& book, std::uint64_t line) : book_(book), line_(line) {}

  void on_headers(int, const net::fetch_headers& headers) noexcept override {
    const auto word = net::find_header(headers, "x-skep-cache");
    if (!word)
      return;
    word_ = *word;
    std::transform(word_.begin(), word_.end(), word_.begin(),
                   [](unsigned char each) { return static_cast<char>(std::tolower(each)); });
  }
  void on_done(net::fetch_result result) noexcept override {
    if (result.ok() && result.status == 200)
      book_.answered(word_.empty() ? "not cached" : word_);
    else
      book_.failed(line_, complaint_of(result));
  }

private:
  ledger& book_;
  const std::uint64_t line_;
  std::string word_;
};

/// Sends the prompts of a file and waits for their answers.
class warm_up {
public:
  explicit warm_up(const cache_warm_options& options)
    : url_(base_url(options.target) + "/v1/chat/completions"), rate_per_s_(options.rate_per_s),
      book_(options.concurrency), client_(limits(options.concurrency)) {}

  void run(cache::prompt_reader& prompts) {
    for (;;) {
      const auto read = prompts.next();
      if (!read) {
        book_.refused(read.error().detail);
        continue;
      }
      if (!*read)
        break;
      wait_for_turn();
      send(**read);
    }
    while (!book_.wait_until_idle(progress_pause))
      show();
  }
  int finish() {
    show();
    if (isatty(STDERR_FILENO) != 0)
      fmt::print(stderr, "\n");
    const std::chrono::duration<double> took = clock::now() - start_;
    book_.print_summary(took.count());
    return book_.failures() == 0 ? exit_ok : exit_failed;
  }

private:
  static net::fetch_config limits(std::uint32_t concurrency) {
    net::fetch_config config;
    config.connections_max = concurrency;
    config.connections_per_host_max = concurrency;
    return config;
  }
  void show() {
    if (isatty(STDERR_FILENO) != 0)
      book_.show_progress();
  }
  void wait_for_turn() {
    if (rate_per_s_ > 0) {
      const std::chrono::duration<double> due{static_cast<double>(number_) / rate_per_s_};
      std::this_thread::sleep_until(start_ + std::chrono::duration_cast<clock::duration>(due));
    }
    ++number_;
    while (!book_.wait_for_room(progress_pause))
      show();
  }
  void send(const cache::prompt& each) {
    auto request = command_request("POST", url_);
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = each.body;
    request.first_byte_timeout = answer_timeout;
    request.total_timeout = answer_timeout;
    book_.sent();
    const auto started
      = client_.start(std::move(request), std::make_shared<answer_watch>(book_, each.line));
    if (!started)
      book_.failed(each.line, to_string(started.error()));
  }

  const std::string url_;
  const double rate_per_s_;
  const clock::time_point start_ = clock::now();
  std::uint64_t number_ = 0;
  ledger book_;
  net::http_client client_; // Last: its thread reports to the ledger.
};

} // namespace

int cache_warm(const cache_warm_options& options) {
  std::ifstream file{options.file, std::ios::binary};
  if (!file) {
    fmt::print(stderr, "skep cache warm: {} cannot be read\n", options.file);
    return exit_usage;
  }
  cache::prompt_reader prompts{file, options.model};
  warm_up run{options};
  run.run(prompts);
  return run.finish();
}

} // namespace skep::cli
