// The semantic cache: how long a lookup takes, and how often it would answer wrongly.
//   skep_semantic_bench lookup [ENTRIES...]      latency of exact scans, 256 dimensions
//   skep_semantic_bench pairs FILE.tsv [VECTORS] hits and false hits on labelled pairs
// VECTORS holds other vectors for the pairs' texts: a line each, "TEXT<tab>NUMBER NUMBER ...".
#include "runtime/flow/rng.hpp"
#include "runtime/store/lexical_embedder.hpp"
#include "runtime/store/semantic_index.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

using namespace skep;
using store::byte_vector;
using store::guard_rule;
using store::guard_signature;
using wall = std::chrono::steady_clock;

// -- lookup ---------------------------------------------------------------------------------------

std::vector<float> random_vector(flow::rng& random) {
  std::vector<float> made(256);
  for (auto& each : made)
    each = static_cast<float>(random.uniform() - 0.5);
  return made;
}

double microseconds(wall::duration took) {
  return std::chrono::duration<double, std::micro>(took).count();
}

/// This thread's processor time: what a scan costs when nobody else wants the core.
double cpu_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void print_latency(const char* what, std::size_t entries, std::vector<double>& took) {
  std::sort(took.begin(), took.end());
  const auto at = [&](double share) {
    return took[static_cast<std::size_t>(share * static_cast<double>(took.size() - 1))];
  };
  std::printf("{\"what\":\"%s\",\"entries\":%zu,\"us_p50\":%.1f,\"us_p99\":%.1f}\n", what, entries,
              at(0.5), at(0.99));
}

/// Nothing random is similar to anything, so a find is the whole scan and nothing else.
void measure_lookup(std::size_t entries) {
  flow::rng random{7};
  store::index_config config;
  config.entries_max = config.partition_entries_max = entries;
  config.bytes_max = std::size_t{1} << 30;
  store::semantic_index index{config};
  const store::key128 partition{1, 1};
  for (std::size_t n = 0; n < entries; ++n)
    index.learn(partition, {2, n}, store::to_bytes(random_vector(random)), guard_signature{"x"},
                wall::now());
  const auto finds = std::max<std::size_t>(500, 10'000'000 / entries);
  std::vector<double> took;
  std::vector<double> worked;
  for (std::size_t n = 0; n < finds; ++n) {
    const auto wanted = store::to_bytes(random_vector(random));
    const guard_signature guard{"x"};
    const auto begun = wall::now();
    const auto cpu_begun = cpu_microseconds();
    const auto found = index.find(partition, wanted, guard, guard_rule::words, 900, begun);
    took.push_back(microseconds(wall::now() - begun));
    worked.push_back(cpu_microseconds() - cpu_begun);
    if (found)
      std::fprintf(stderr, "a random vector was found\n");
  }
  print_latency("scan", entries, took);
  print_latency("scan_cpu", entries, worked);
}

void measure_text() {
  const std::string text = "Can you tell me how to transfer $100 from Alice to Bob before Monday?";
  std::vector<double> embed;
  std::vector<double> guard;
  float sum = 0;
  for (int n = 0; n < 5000; ++n) {
    auto begun = wall::now();
    sum += store::lexical_embedder::embed(text)[0];
    embed.push_back(microseconds(wall::now() - begun));
    begun = wall::now();
    const guard_signature made{text};
    guard.push_back(microseconds(wall::now() - begun));
    sum += static_cast<float>(made.bytes());
  }
  print_latency("embed", text.size(), embed);
  print_latency("guard", text.size(), guard);
  if (sum == 0)
    std::fprintf(stderr, "nothing was embedded\n");
}

// -- pairs ----------------------------------------------------------------------------------------

struct pair_row {
  bool same = false;
  std::string kind;
  std::string a;
  std::string b;
  float cosine = 0;
  bool signature_agrees = false;
  bool words_agree = false;
};

using vectors = std::map<std::string, std::vector<float>>;

vectors read_vectors(const char* path) {
  vectors all;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    const auto tab = line.find('\t');
    std::istringstream numbers{line.substr(std::min(tab, line.size()))};
    auto& made = all[line.substr(0, tab)];
    for (float each = 0; numbers >> each;)
      made.push_back(each);
  }
  return all;
}

byte_vector vector_of(const std::string& text, const vectors& given) {
  if (const auto found = given.find(text); found != given.end())
    return store::to_bytes(found->second);
  return store::to_bytes(store::lexical_embedder::embed(text));
}

std::vector<pair_row> read_pairs(const char* path, const vectors& given) {
  std::vector<pair_row> all;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    std::istringstream fields{line};
    pair_row row;
    std::string label;
    std::getline(fields, label, '\t');
    std::getline(fields, row.kind, '\t');
    std::getline(fields, row.a, '\t');
    std::getline(fields, row.b, '\t');
    row.same = label == "same";
    row.cosine = store::cosine(vector_of(row.a, given), vector_of(row.b, given));
    const guard_signature a{row.a};
    const guard_signature b{row.b};
    row.signature_agrees = agree(a, b, guard_rule::signature);
    row.words_agree = agree(a, b, guard_rule::words);
    all.push_back(std::move(row));
  }
  return all;
}

template <class Allow>
void print_share(const char* guard, double threshold, const std::vector<pair_row>& all,
                 Allow allow) {
  std::size_t right = 0;
  std::size_t wrong = 0;
  std::size_t same = 0;
  std::map<std::string, int> kinds;
  for (const auto& each : all) {
    same += each.same ? 1 : 0;
    if (each.cosine < threshold || !allow(each))
      continue;
    (each.same ? right : wrong) += 1;
    if (!each.same)
      ++kinds[each.kind];
  }
  const auto hits = right + wrong;
  std::printf("{\"what\":\"pairs\",\"guard\":\"%s\",\"threshold\":%.2f,\"pairs\":%zu,\"same\":%zu,"
              "\"hits\":%zu,\"false\":%zu,\"false_percent\":%.1f,\"recall_percent\":%.1f,"
              "\"kinds\":{",
              guard, threshold, all.size(), same, hits, wrong,
              hits == 0 ? 0.0 : 100.0 * static_cast<double>(wrong) / static_cast<double>(hits),
              100.0 * static_cast<double>(right)
                / static_cast<double>(std::max<std::size_t>(same, 1)));
  const char* comma = "";
  for (const auto& [kind, count] : kinds) {
    std::printf("%s\"%s\":%d", comma, kind.c_str(), count);
    comma = ",";
  }
  std::printf("}}\n");
}

void measure_pairs(const char* path, const vectors& given) {
  const auto all = read_pairs(path, given);
  for (const double threshold : {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98}) {
    print_share("none", threshold, all, [](const pair_row&) { return true; });
    print_share("signature", threshold, all, [](const pair_row& p) { return p.signature_agrees; });
    print_share("words", threshold, all, [](const pair_row& p) { return p.words_agree; });
  }
  for (const auto& each : all)
    if (!each.same && each.cosine >= 0.5f && each.signature_agrees)
      std::fprintf(stderr, "passes the %s guard: %.3f %s | %s\n",
                   each.words_agree ? "words" : "signature", static_cast<double>(each.cosine),
                   each.a.c_str(), each.b.c_str());
}

} // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "lookup") {
    measure_text();
    for (int n = 2; n < argc; ++n)
      measure_lookup(static_cast<std::size_t>(std::stoul(argv[n])));
    if (argc == 2)
      for (const std::size_t entries : {1'000u, 10'000u, 100'000u})
        measure_lookup(entries);
    return 0;
  }
  if (verb == "pairs" && argc > 2) {
    measure_pairs(argv[2], argc > 3 ? read_vectors(argv[3]) : vectors{});
    return 0;
  }
  std::fprintf(stderr, "usage: %s lookup [ENTRIES...] | pairs FILE.tsv [VECTORS]\n", argv[0]);
  return 2;
}
