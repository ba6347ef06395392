// What it costs to read a client's body and to write it for a provider, as bodies grow; beside the
// tree of a whole parser.
#include "apis/openai/chat_json.hpp"
#include "bench/measure.hpp"
#include "runtime/json/check.hpp"
#include "runtime/json/members.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace {

using namespace skep::bench;

constexpr int runs = 7;

/// A conversation with line breaks and quotes in its texts, and with a tool to every fourth turn;
/// `with_calls`: with a call of it and what came back, too.
std::string chat_of(std::size_t bytes, bool with_calls) {
  const auto turn = [](const char* role) {
    return std::string{R"({"role":")"} + role
           + R"(","content":"The lamp of order \"4711\" has left the warehouse on Monday.\n\n)"
             R"(It will be with you in two days; Größe und Farbe wie bestellt."})";
  };
  const std::string tool
    = R"({"type":"function","function":{"name":"find_documents","parameters":{"type":"object",)"
      R"("properties":{"query":{"type":"string","description":"What is looked for."}}}}})";
  const std::string call
    = R"({"role":"assistant","content":null,"tool_calls":[{"id":"call_4711","type":"function",)"
      R"("function":{"name":"find_documents","arguments":"{\"query\":\"order 4711\"}"}}]},)"
      R"({"role":"tool","tool_call_id":"call_4711","content":"[{\"id\":4711}]"})";
  std::string messages = turn("system");
  std::string tools = tool;
  for (int n = 0; messages.size() + tools.size() < bytes; ++n) {
    messages += "," + turn(n % 2 == 0 ? "user" : "assistant");
    if (n % 4 != 3)
      continue;
    tools += "," + tool;
    if (with_calls)
      messages += "," + call;
  }
  return R"({"model":"p/m","temperature":0,"messages":[)" + messages + R"(],"tools":[)" + tools
         + "]}";
}

template <class Work>
double us_per_call(int calls, Work&& work) {
  std::size_t sum = 0;
  const auto start = bench_clock::now();
  for (int n = 0; n < calls; ++n)
    sum += work();
  const auto took = ns_since(start) / 1000 / calls;
  if (sum == 0)
    std::printf("nothing was read\n");
  return took;
}

void bench_body(std::size_t bytes, bool with_calls) {
  const auto body = chat_of(bytes, with_calls);
  const auto request = skep::actors::read_chat_body(body)->request;
  const auto name = std::string{with_calls ? "chat with calls of " : "chat of "}
                    + std::to_string(bytes / 1000) + " kB, ";
  const auto figure = [&](const char* what, auto&& work) {
    const int calls = bytes > 50'000 ? 100 : 2000;
    std::vector<double> took;
    for (int run = 0; run < runs; ++run)
      took.push_back(us_per_call(calls, work));
    print(name + what, "us", took);
  };
  figure("checked", [&] { return skep::json::check(body) ? 1u : 0u; });
  figure("taken apart", [&] { return skep::json::members_of(body)->size(); });
  figure("read", [&] { return skep::actors::read_chat_body(body)->request.messages.size(); });
  figure("written", [&] { return skep::actors::write_chat_request(request).size(); });
  figure("a parser's tree", [&] { return nlohmann::json::parse(body).size(); });
}

} // namespace

int main() {
  for (const std::size_t bytes : {1000u, 10'000u, 100'000u})
    for (const bool with_calls : {false, true})
      bench_body(bytes, with_calls);
  return 0;
}
