#include "runtime/base/log.hpp"

#include "runtime/base/log_output.hpp"
#include "runtime/base/utf8.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <future>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>

namespace skep::log {

namespace {

constexpr std::array<std::string_view, 5> level_names{"debug", "info", "warn", "error", "off"};

// How long a line waits for stderr's reader while there is no writer thread.
constexpr std::chrono::milliseconds direct_write_max{200};
// What the writer thread may take to end once nothing it waits for counts any more.
constexpr std::chrono::milliseconds give_up_max{200};

/// Hands lines to the output; only the writer thread comes here.
class line_sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
public:
  explicit line_sink(std::string file) : output(std::move(file)) {}

  line_output output;

private:
  void sink_it_(const spdlog::details::log_msg& line) override {
    spdlog::memory_buf_t text;
    formatter_->format(line, text);
    output.write({text.data(), text.size()});
  }
  void flush_() override {}
};

/// The writer of one set-up: spdlog's bounded queue, its one thread, and the sink behind it.
struct writer {
  std::shared_ptr<line_sink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

// Apart from the rest, so that an event nobody wants costs one load and no more.
constinit std::atomic<level> threshold{level::info};

/// Everything else the log remembers. Never destroyed, so that destructors of other statics can
/// log.
struct log_state {
  std::atomic<std::uint64_t> lost{0};    // Not writable, or overwritten in queues that are gone.
  std::atomic<bool> stderr_stuck{false}; // Its reader took nothing the last time.
  std::shared_mutex mutex;
  log_config config;              // GUARDED_BY(mutex)
  std::unique_ptr<writer> target; // GUARDED_BY(mutex); null before init and after shutdown.
};

log_state& state() {
  static auto* const it = new log_state;
  return *it;
}

/// Characters a terminal or a line reader acts upon: C0, DEL, C1 (U+0080 to U+009F, among them the
/// one-byte CSI) and the separators U+2028 and U+2029.
bool acts_on_terminals(std::string_view sequence) noexcept {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1)
    return first < 0x20 || first == 0x7F;
  if (sequence.size() == 2)
    return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
  return sequence == "\xE2\x80\xA8" || sequence == "\xE2\x80\xA9";
}

void append_escaped(std::string& out, std::string_view bytes) {
  if (bytes == "\n")
    out += "\\n";
  else if (bytes == "\r")
    out += "\\r";
  else if (bytes == "\t")
    out += "\\t";
  else
    for (const char c : bytes)
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
}

/// Text that stays on one line whatever was in it; bytes that are no UTF-8 become \xNN, and so do
/// the characters in `also`.
std::string one_line(std::string_view text, std::string_view also = {}) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_sequence(text);
    const auto piece = text.substr(0, length == 0 ? 1 : length);
    if (length == 0 || acts_on_terminals(piece) || also.find(piece) != std::string_view::npos)
      append_escaped(out, piece);
    else
      out += piece;
    text.remove_prefix(piece.size());
  }
  return out;
}

/// At most `bytes_max` bytes of `text`, and a note on what is missing.
std::string cut_to(std::string_view text, std::size_t bytes_max) {
  const auto kept = utf8_prefix(text, bytes_max);
  if (kept.size() == text.size())
    return std::string{text};
  return fmt::format("{} (cut by {} bytes)", kept, text.size() - kept.size());
}

/// ISO 8601 in UTC with milliseconds: 2026-11-21T04:41:44.123Z.
std::string timestamp(std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(ms);
  const auto since_epoch = static_cast<std::time_t>(seconds.count());
  std::tm utc{};
  gmtime_r(&since_epoch, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     (ms - seconds).count());
}

/// Fixed columns, so that no text can pass for another column: time, level, [request id or -],
/// text. `body` is escaped already.
std::string text_line(level l, std::string_view request_id, std::string_view body) {
  return fmt::format("{} {} [{}] {}", timestamp(std::chrono::system_clock::now()), to_string(l),
                     request_id.empty() ? "-" : one_line(request_id, " []"), body);
}

/// A value in a text line; what would read as several, or as another field, stands in quotes.
std::string shown(const field& from) {
  if (const auto* number = std::get_if<std::int64_t>(&from.value))
    return std::to_string(*number);
  if (const auto* number = std::get_if<double>(&from.value))
    return fmt::format("{:.1f}", *number);
  const auto text = std::get<std::string_view>(from.value);
  if (!text.empty() && text.find_first_of(" =\"") == std::string_view::npos)
    return one_line(text);
  return '"' + one_line(text, "\"") + '"';
}

std::string text_body(std::string_view text, std::span<const field> fields, std::size_t bytes_max) {
  auto body = one_line(text);
  for (const auto& each : fields) {
    body += ' ';
    if (!each.bare)
      body.append(each.name) += '=';
    body += shown(each);
  }
  return cut_to(body, bytes_max);
}

std::string json_line(level l, std::string_view request_id, std::string_view text,
                      std::span<const field> fields, std::size_t bytes_max) {
  nlohmann::ordered_json line;
  line["ts"] = timestamp(std::chrono::system_clock::now());
  line["level"] = to_string(l);
  line["msg"] = utf8_repaired(cut_to(text, bytes_max));
  for (const auto& [name, value, bare] : fields) {
    auto& member = line[std::string{name}];
    if (const auto* words = std::get_if<std::string_view>(&value))
      member = utf8_repaired(cut_to(*words, bytes_max));
    else if (const auto* number = std::get_if<std::int64_t>(&value))
      member = *number;
    else
      member = std::get<double>(value);
  }
  if (!request_id.empty())
    line["request_id"] = utf8_repaired(request_id);
  // ASCII only: these lines are for machines, and so nothing in them acts on a terminal either.
  return line.dump(-1, ' ', true);
}

std::string make_line(const log_config& config, level l, std::string_view request_id,
                      std::string_view text, std::span<const field> fields) {
  const auto id = cut_to(request_id, config.text_bytes_max);
  if (config.json)
    return json_line(l, id, text, fields, config.text_bytes_max);
  return text_line(l, id, text_body(text, fields, config.text_bytes_max));
}

/// One write, so that lines of several threads do not mix.
void write_to_stderr(std::string line) noexcept {
  line += '\n';
  auto& s = state();
  const bool stuck = s.stderr_stuck.load(std::memory_order_relaxed);
  const bool whole
    = write_within(STDERR_FILENO, line, stuck ? std::chrono::milliseconds{0} : direct_write_max);
  s.stderr_stuck.store(!whole, std::memory_order_relaxed);
  if (!whole)
    s.lost.fetch_add(1, std::memory_order_relaxed);
}

std::unique_ptr<writer> make_writer(const log_config& config) {
  auto made = std::make_unique<writer>();
  made->sink = std::make_shared<line_sink>(config.file);
  made->pool = std::make_shared<spdlog::details::thread_pool>(config.queue_max, 1);
  made->logger = std::make_shared<spdlog::async_logger>(
    "skep", made->sink, made->pool, spdlog::async_overflow_policy::overrun_oldest);
  // The line is complete when it is queued; the level was checked before it was formatted.
  made->logger->set_formatter(
    std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, "\n"));
  made->logger->set_level(spdlog::level::trace);
  // The writer thread flushes every line: what was logged before a crash is in the file.
  made->logger->flush_on(spdlog::level::trace);
  made->logger->set_error_handler(
    [](const std::string&) { state().lost.fetch_add(1, std::memory_order_relaxed); });
  return made;
}

/// Writes what waits, ends the thread and keeps the count of what the queue overwrote. No lock may
/// be held: it lasts as long as the disk does, and at most a little longer than `at_most`.
void retire(std::unique_ptr<writer> old, std::chrono::milliseconds at_most) noexcept try {
  if (!old)
    return;
  const auto overwritten = old->pool->overrun_counter();
  std::promise<void> ended;
  auto end = ended.get_future();
  // The pool's destructor lets its thread write what waits and joins it.
  std::thread join{[pool = std::move(old->pool), ended = std::move(ended)]() mutable {
    pool.reset();
    ended.set_value();
  }};
  if (end.wait_for(at_most) != std::future_status::ready)
    old->sink->output.give_up();
  if (end.wait_for(give_up_max) == std::future_status::ready) {
    join.join();
  } else {
    // The thread hangs in the kernel (a file system that is gone): it keeps what it needs.
    join.detach();
    [[maybe_unused]] const auto* kept = old.release();
  }
  state().lost.fetch_add(overwritten, std::memory_order_relaxed);
} catch (const std::exception&) {
  // There is no thread to be had; `old` ended the writer on the way out.
}

/// The line is made under the lock, with the set-up it is written by.
void hand_over(level l, request about, std::string_view text, std::span<const field> fields) {
  auto& s = state();
  const std::shared_lock lock{s.mutex};
  auto line = make_line(s.config, l, about.id, text, fields);
  if (s.target)
    s.target->logger->log(spdlog::level::critical, spdlog::string_view_t{line});
  else
    write_to_stderr(std::move(line));
}

} // namespace

std::string_view to_string(level l) noexcept {
  return level_names.at(static_cast<std::size_t>(l));
}

std::optional<level> parse_level(std::string_view name) noexcept {
  for (std::size_t i = 0; i < level_names.size(); ++i)
    if (level_names[i] == name)
      return static_cast<level>(i);
  return std::nullopt;
}

expected<void> init(const log_config& config) try {
  if (config.queue_max == 0)
    return fail(errc::bad_config, "log.queue_max is 0; it must hold at least one line");
  auto made = make_writer(config);
  auto& s = state();
  {
    const std::unique_lock lock{s.mutex};
    s.config = config;
    s.target.swap(made);
    threshold.store(config.level, std::memory_order_relaxed);
  }
  retire(std::move(made), std::chrono::seconds{1});
  return {};
} catch (const std::exception& e) {
  return fail(errc::bad_config, fmt::format("log: cannot write to '{}': {}; name a file in a "
                                            "writable folder or leave it empty for stderr",
                                            config.file, e.what()));
}

void shutdown(std::chrono::milliseconds at_most) noexcept {
  auto& s = state();
  std::unique_ptr<writer> old;
  {
    const std::unique_lock lock{s.mutex};
    s.target.swap(old);
    s.config = log_config{};
    threshold.store(level::info, std::memory_order_relaxed);
  }
  retire(std::move(old), at_most);
}

void reopen() noexcept {
  auto& s = state();
  const std::shared_lock lock{s.mutex};
  if (s.target)
    s.target->sink->output.reopen();
}

std::uint64_t dropped() noexcept {
  auto& s = state();
  const std::shared_lock lock{s.mutex};
  const auto gone = s.lost.load(std::memory_order_relaxed);
  return s.target ? gone + s.target->pool->overrun_counter() : gone;
}

std::size_t queue_depth() noexcept {
  auto& s = state();
  const std::shared_lock lock{s.mutex};
  return s.target ? s.target->pool->queue_size() : 0;
}

std::size_t queue_max() noexcept {
  auto& s = state();
  const std::shared_lock lock{s.mutex};
  return s.target ? s.config.queue_max : 0;
}

bool enabled(level l) noexcept {
  return l >= threshold.load(std::memory_order_relaxed) && l != level::off;
}

std::string redacted(std::string_view secret) {
  return fmt::format("<redacted, {} bytes>", secret.size());
}

void tell(level l, request about, std::string_view text, std::span<const field> fields) noexcept
  try {
  if (enabled(l))
    hand_over(l, about, text, fields);
} catch (...) {
  state().lost.fetch_add(1, std::memory_order_relaxed); // Out of memory; the program goes on.
}

void write(level l, request about, fmt::string_view text, fmt::format_args args) noexcept try {
  hand_over(l, about, fmt::vformat(text, args), {});
} catch (...) {
  // Out of memory or a formatter that threw: the event is lost, the program goes on.
  state().lost.fetch_add(1, std::memory_order_relaxed);
}

} // namespace skep::log
