// Looks for texts whose reading takes longer than their size accounts for. The first byte chooses a
// way through skep and the place where the text grows; the rest is the piece that is repeated
// there. Twice as many pieces may take about twice as long: four times is a quadratic loop.
#include "tests/support/growing_text.hpp"
#include "tests/support/json_ways.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

using namespace skep::testing;

namespace {

constexpr std::size_t bytes_once = std::size_t{16} << 10;
constexpr std::size_t piece_bytes_max = 256;
constexpr int runs = 3;
// A machine at work makes noise; a loop over all pieces for every piece makes more.
constexpr double growth_max = 3.2;
// Under the sanitizers a byte costs about a microsecond at worst.
constexpr double floor_seconds = 0.15;

struct place {
  json_way way;
  const char* before;
  const char* between;
  const char* after;
};

constexpr std::array places{
  place{through_chat_body, R"({"model":"m","messages":[{"role":"user","content":[)", ",", "]}]}"},
  place{through_chat_body, R"({"model":"m","messages":[)", ",", "]}"},
  place{through_chat_body, R"({"model":"m","messages":[{"role":"user","content":"x"}],)", ",", "}"},
  place{through_chat_body, R"({"model":"m","messages":[{"role":"user","content":"x"}],"tools":[)",
        ",", "]}"},
  place{through_messages_body,
        R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":[)", ",", "]}]}"},
  place{through_messages_body,
        R"({"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[)", ",",
        R"(]},{"role":"user","content":"x"}]})"},
  place{through_messages_body, R"({"model":"m","max_tokens":9,"messages":[)", ",", "]}"},
  place{through_completions_body, R"({"model":"m","prompt":"x",)", ",", "}"},
  place{through_response_body, R"({"model":"m","input":[)", ",", "]}"},
  place{through_response_body, R"({"model":"m","input":"x","tools":[)", ",", "]}"},
  place{through_embeddings_body, R"({"model":"m","input":[)", ",", "]}"},
  place{through_chat_reply, R"({"choices":[{"message":{"tool_calls":[)", ",", "]}}]}"},
  place{through_chat_reply, R"({"choices":[)", ",", "]}"},
  place{through_messages_reply, R"({"type":"message","content":[)", ",", "]}"},
  place{through_embeddings_reply, R"({"data":[)", ",", "]}"},
  place{through_models_and_errors, R"({"data":[)", ",", "]}"},
  place{through_chat_stream, "data: ", "\n\ndata: ", "\n\n"},
  place{through_chat_stream, R"(data: {"choices":[{"delta":{"tool_calls":[)", ",", "]}}]}\n\n"},
  place{through_response, R"({"id":"r","output":[)", ",", "]}"},
  place{through_response_stream, "data: ", "\n\ndata: ", "\n\n"},
  place{through_messages_stream, "data: ", "\n\ndata: ", "\n\n"},
  place{through_chat_stream, "", "", ""},
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2)
    return 0;
  const auto& at = places[data[0] % places.size()];
  const std::string piece(data + 1, data + std::min(size, piece_bytes_max));
  const growing_text text{at.before, [&](std::size_t) { return piece; }, at.after, at.between};
  const auto twice = text.of(2 * bytes_once);
  auto took_twice = least_seconds(1, [&] { at.way(twice); });
  if (took_twice < floor_seconds)
    return 0;
  const auto once = text.of(bytes_once);
  auto took = least_seconds(1, [&] { at.way(once); });
  if (took_twice < growth_max * took)
    return 0;
  took = least_seconds(runs, [&] { at.way(once); });
  took_twice = least_seconds(runs, [&] { at.way(twice); });
  if (took_twice < floor_seconds || took_twice < growth_max * took)
    return 0;
  std::fprintf(stderr, "place %d: %zu bytes take %.0f ms, %zu bytes %.0f ms\n",
               static_cast<int>(data[0] % places.size()), once.size(), took * 1e3, twice.size(),
               took_twice * 1e3);
  std::abort();
}
