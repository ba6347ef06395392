// The store of a cache shard by itself: the speed of one core, the bytes it counts against the
// memory of the process, and what compression makes of answers: skep_cache_bench [--json] [TEXT].
// TEXT: a file or a folder with Markdown; without it, this repository's docs.
#include "apis/openai/chat_json.hpp"
#include "bench/answers.hpp"
#include "bench/child_process.hpp"
#include "bench/measure.hpp"
#include "messages/codec.hpp"
#include "runtime/store/response_store.hpp"
#include "runtime/store/value_codec.hpp"

#include <malloc.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

namespace {

using namespace skep;
using namespace skep::bench;

constexpr int runs = 5;
constexpr time_point now{std::chrono::hours{1}};

bool as_json = false;

void show(const std::string& name, const std::string& unit, const std::vector<double>& figures) {
  if (as_json)
    print(name, unit, figures);
  else
    std::printf("%-64s %10.4g %s (%.4g to %.4g)\n", name.c_str(), quantile(figures, 0.5),
                unit.c_str(), quantile(figures, 0), quantile(figures, 1));
}

store::key128 key(std::uint64_t n) {
  return {n * 0x9e37'79b9'7f4a'7c15ull, n * 0xbf58'476d'1ce4'e5b9ull};
}

std::string size_name(std::size_t bytes) {
  return bytes < 1024 ? std::to_string(bytes) + " B" : std::to_string(bytes / 1024) + " KiB";
}

// -- speed ----------------------------------------------------------------------------------------

/// One shard full of values of one size, asked for at random; more keys than it has room for.
class speed_trial {
public:
  explicit speed_trial(std::size_t bytes) : bytes_(bytes), value_(bytes, 'v') {
    store::store_config config;
    config.bytes_max = std::size_t{64} << 20;
    config.entries_max = std::min<std::size_t>(100'000, config.bytes_max / (bytes + 400));
    store_.emplace(config, now);
    keys_ = config.entries_max;
    for (std::uint64_t n = 0; n < keys_; ++n)
      store_->put(key(n), value_, {1h}, now);
  }

  /// Gets, puts of new keys (each evicts one), and nine gets to a put; nanoseconds an operation.
  void run() {
    constexpr int count = 200'000;
    gets_.push_back(timed(count, [&](int) { get(); }));
    puts_.push_back(timed(count, [&](int) { put(); }));
    mixed_.push_back(timed(count, [&](int n) { n % 10 == 0 ? put() : get(); }));
  }

  void report() const {
    const auto name = size_name(bytes_) + " values";
    show("store, get, " + name, "ns", gets_);
    show("store, put that evicts, " + name, "ns", puts_);
    show("store, 90 % gets, " + name, "ns", mixed_);
    std::vector<double> rates;
    for (const auto each : mixed_)
      rates.push_back(1e9 / each);
    show("store, 90 % gets a core, " + name, "1/s", rates);
  }

private:
  template <class F>
  double timed(int count, F operation) {
    const auto begin = bench_clock::now();
    for (int n = 0; n < count; ++n)
      operation(n);
    return ns_since(begin) / count;
  }

  void get() {
    // The newest keys are there, but for the few that a put of late pushed out.
    if (store_->get(key(next_ + keys_ - 1 - random_() % keys_), now))
      ++found_;
  }
  void put() {
    store_->put(key(next_ + keys_), value_, {1h}, now);
    ++next_;
  }

  std::size_t bytes_;
  std::string value_;
  std::optional<store::response_store> store_;
  std::uint64_t keys_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t found_ = 0;
  std::mt19937_64 random_{1};
  std::vector<double> gets_;
  std::vector<double> puts_;
  std::vector<double> mixed_;
};

void bench_speed() {
  std::array trials{speed_trial{100}, speed_trial{1024}, speed_trial{16'384}};
  for (int n = 0; n < runs; ++n)
    for (auto& each : trials)
      each.run();
  for (const auto& each : trials)
    each.report();
}

// -- memory ---------------------------------------------------------------------------------------

double resident_bytes() {
  std::ifstream status{"/proc/self/statm"};
  double size = 0;
  double resident = 0;
  status >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Of a process of its own: bytes counted over the growth of resident memory, when the store is
/// full of values of this size (0: 64 B to 16 KiB, turned over five times).
int weigh(std::size_t bytes) {
  std::mt19937_64 random{bytes};
  const std::string text(16'384, 't');
  store::store_config config;
  config.bytes_max = std::size_t{128} << 20;
  config.value_bytes_max = text.size();
  const auto before = resident_bytes();
  store::response_store store{config, now};
  std::uint64_t put = 0;
  double written = 0;
  const auto wanted = static_cast<double>(config.bytes_max) * (bytes == 0 ? 5 : 1.2);
  while (written < wanted) {
    // Sizes between by their logarithm: as many small ones as large ones.
    const auto drawn = std::exp2(6 + 8 * static_cast<double>(random() % 1000) / 1000);
    const auto size = bytes != 0 ? bytes : static_cast<std::size_t>(drawn);
    store.put(key(++put), text.substr(0, size), {1h}, now);
    written += static_cast<double>(size);
  }
  std::printf("%.6f\n", static_cast<double>(store.stats().bytes) / (resident_bytes() - before));
  return 0;
}

void bench_memory() {
  for (const std::size_t bytes : {100u, 1024u, 16'384u, 0u}) {
    std::vector<double> ratios;
    for (int n = 0; n < runs; ++n) {
      const auto scale = start({"--weigh", std::to_string(bytes)});
      ratios.push_back(std::strtod(read_line(scale).c_str(), nullptr));
      end(scale);
    }
    show("bytes counted / resident memory, "
           + (bytes == 0 ? "64 B to 16 KiB, turned over" : size_name(bytes)),
         "ratio", ratios);
  }
}

// -- compression ----------------------------------------------------------------------------------

/// What skep keeps of such an answer: its message, as msgpack.
std::vector<std::string> as_stored(const std::vector<std::string>& answers) {
  std::vector<std::string> stored;
  for (const auto& each : answers)
    if (const auto reply = actors::read_chat_reply(each)) {
      stored.emplace_back();
      encode(*reply, stored.back());
    }
  return stored;
}

void bench_codec(const std::string& what, const store::value_codec& codec,
                 const std::vector<std::string>& values) {
  double raw = 0;
  double kept = 0;
  std::vector<std::string> packed;
  for (const auto& each : values) {
    packed.push_back(codec.pack(each));
    raw += static_cast<double>(each.size());
    kept += static_cast<double>(packed.back().size());
  }
  const auto count = static_cast<double>(values.size());
  show("compression, " + what + ", raw bytes each", "B", {raw / count});
  show("compression, " + what, "ratio", {raw / kept});
  std::vector<double> in;
  std::vector<double> out;
  for (int n = 0; n < runs; ++n) {
    const auto begin = bench_clock::now();
    for (const auto& each : values)
      codec.pack(each);
    in.push_back(ns_since(begin) / count);
    const auto between = bench_clock::now();
    for (const auto& each : packed)
      codec.unpack(each, std::size_t{1} << 20);
    out.push_back(ns_since(between) / count);
  }
  show("compress, " + what, "ns", in);
  show("decompress, " + what, "ns", out);
}

/// Half of the sentences train, the other half is compressed: no sentence is in both.
int bench_compression(const std::string& text) {
  const auto sentences = read_sentences(text);
  if (!sentences) {
    std::fprintf(stderr, "%s\n", sentences.error().detail.c_str());
    return 1;
  }
  const auto middle = sentences->begin() + static_cast<std::ptrdiff_t>(sentences->size() / 2);
  const std::vector<std::string> known{sentences->begin(), middle};
  const std::vector<std::string> unknown{middle, sentences->end()};
  for (const std::size_t content : {120u, 1000u}) {
    const auto train = make_answers(known, content, 1);
    const auto test = make_answers(unknown, content, 2);
    const std::array forms{
      std::pair{std::string{"JSON"}, std::pair{train, test}},
      std::pair{std::string{"chat_reply"}, std::pair{as_stored(train), as_stored(test)}}};
    for (const auto& [form, sets] : forms) {
      const auto name = form + (content < 1000 ? " of a short answer, " : " of a long answer, ");
      auto content_of = store::train_dictionary(sets.first, 16'384);
      if (!content_of) {
        std::fprintf(stderr, "%s\n", content_of.error().detail.c_str());
        return 1;
      }
      const auto dictionary = store::make_dictionary(*content_of);
      bench_codec(name + "zstd", store::value_codec{}, sets.second);
      bench_codec(name + "zstd with a dictionary", store::value_codec{{*dictionary}}, sets.second);
    }
  }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  std::string text = SKEP_SOURCE_DIR "/docs";
  for (int n = 1; n < argc; ++n) {
    if (std::strcmp(argv[n], "--weigh") == 0 && n + 1 < argc)
      return weigh(std::strtoull(argv[n + 1], nullptr, 10));
    if (std::strcmp(argv[n], "--json") == 0)
      as_json = true;
    else
      text = argv[n];
  }
  bench_speed();
  bench_memory();
  return bench_compression(text);
}
