// What it costs an agent to put a request together, with and without the memory of contexts, as the
// tools that come with every call grow.
#include "apis/chat/context_cache.hpp"
#include "bench/measure.hpp"
#include "runtime/json/members.hpp"

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include <string>

namespace {

using namespace skep;
using namespace skep::bench;

constexpr int runs = 7;
constexpr auto defaults = R"({"max_tokens":512,"temperature":0.2})";

/// A request's members as an agent framework sends them: function tools with JSON schemas.
std::string request_with_tools(std::size_t bytes, int user) {
  auto tools = nlohmann::ordered_json::array();
  for (int n = 0; tools.dump().size() < bytes; ++n) {
    const auto number = std::to_string(n);
    nlohmann::ordered_json properties;
    for (const auto* name : {"query", "limit", "cursor", "filters", "language"})
      properties[name] = {{"type", "string"},
                          {"description", std::string{"What the tool is given as "} + name
                                            + ", in the words of the person who asked."}};
    tools.push_back(
      {{"type", "function"},
       {"function",
        {{"name", "tool_" + number},
         {"description", "Looks for documents in the collection number " + number + "."},
         {"parameters",
          {{"type", "object"}, {"properties", properties}, {"required", {"query"}}}}}}});
  }
  const nlohmann::ordered_json body{
    {"tools", tools}, {"tool_choice", "auto"}, {"user", "user-" + std::to_string(user)}};
  return body.dump();
}

/// The way without a memory, for comparison: parse both, merge, write, and for the key parse again,
/// take out what does not matter and write again.
std::uint64_t assemble_each_time(const std::string& own) {
  using nlohmann::json;
  auto both = json::parse(defaults);
  both.update(json::parse(own));
  const auto parameters = both.dump();
  auto relevant = json::parse(parameters);
  for (const auto* name : {"user", "metadata", "store", "service_tier", "stream_options"})
    relevant.erase(name);
  const auto text = relevant.dump();
  return XXH3_64bits(text.data(), text.size()) + parameters.size();
}

template <class Work>
double us_per_call(int calls, Work&& work) {
  std::uint64_t sum = 0;
  const auto start = bench_clock::now();
  for (int n = 0; n < calls; ++n)
    sum += work(n);
  const auto took = ns_since(start) / 1000 / calls;
  if (sum == 0)
    std::printf("nothing was assembled\n");
  return took;
}

void bench_tools(std::size_t kib) {
  const auto same = request_with_tools(kib * 1024, 0);
  std::vector<std::string> by_user;
  for (int user = 0; user < 50; ++user)
    by_user.push_back(request_with_tools(kib * 1024, user));
  const auto now = skep::clock::now();
  const auto name = "context of " + std::to_string(kib) + " KiB tools, ";
  std::vector<double> plain;
  std::vector<double> first;
  std::vector<double> known;
  std::vector<double> other_user;
  for (int run = 0; run < runs; ++run) {
    plain.push_back(us_per_call(50, [&](int) { return assemble_each_time(same); }));
    first.push_back(us_per_call(50, [&](int) {
      actors::context_cache empty;
      return empty.assemble({defaults, same}, now).parameters.size();
    }));
    actors::context_cache cache;
    cache.assemble({defaults, same}, now);
    known.push_back(us_per_call(2000, [&](int) {
      return cache.assemble({defaults, same}, now).parameters.size();
    }));
    other_user.push_back(us_per_call(50, [&](int n) {
      return cache.assemble({defaults, by_user[static_cast<std::size_t>(n)]}, now)
        .parameters.size();
    }));
  }
  print(name + "each time", "us", plain);
  print(name + "first time", "us", first);
  print(name + "known", "us", known);
  print(name + "known but for the user", "us", other_user);
}

/// What telling requests apart costs: the keyed hash of a request's text, beside one without a key.
void bench_identity(std::size_t bytes) {
  const auto secret = identity_secret::random();
  const std::string text(bytes, 'x');
  std::vector<double> keyed;
  std::vector<double> plain;
  const int calls = bytes > 10'000 ? 500 : 20'000;
  for (int run = 0; run < runs; ++run) {
    keyed.push_back(us_per_call(calls, [&](int) {
      identity_hasher hash{secret};
      hash.add(text);
      return hash.done().low;
    }));
    plain.push_back(
      us_per_call(calls, [&](int) { return XXH3_128bits(text.data(), text.size()).low64; }));
  }
  const auto name = "identity of " + std::to_string(bytes) + " bytes, ";
  print(name + "keyed", "us", keyed);
  print(name + "XXH3", "us", plain);
}

} // namespace

int main() {
  for (const std::size_t bytes : {100u, 1000u, 100'000u})
    bench_identity(bytes);
  for (const std::size_t kib : {1u, 20u, 100u})
    bench_tools(kib);
  return 0;
}
