// The same bytes, whole and split, must give the same events and the same verdict.
#include "runtime/net/sse_parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct outcome {
  std::vector<std::string> events;
  bool failed = false;
  bool partial = false;
  long long retry_ms = -1;

  friend bool operator==(const outcome&, const outcome&) = default;
};

/// Feeds `bytes` in pieces of `piece` bytes, each in a buffer of its own that is gone afterwards.
outcome parse(std::string_view bytes, std::size_t piece, std::size_t event_max) {
  skep::net::sse_parser parser{event_max};
  outcome out;
  const auto keep = [&](const skep::net::sse_event& e) {
    if (e.data.size() + e.event.size() > event_max)
      std::abort();
    std::string text;
    for (const auto part : {e.event, e.data, e.id}) {
      text.append(std::to_string(part.size()));
      text.append(":");
      text.append(part);
    }
    out.events.push_back(std::move(text));
  };
  while (!bytes.empty() && !out.failed) {
    const std::vector<char> copy(
      bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(piece, bytes.size())));
    out.failed = !parser.push({copy.data(), copy.size()}, keep);
    bytes.remove_prefix(copy.size());
  }
  out.partial = !out.failed && parser.partial();
  out.retry_ms = parser.retry_ms();
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2)
    return 0;
  // The first two bytes choose the limit and the split.
  const std::size_t event_max = 8 + data[0];
  const std::size_t piece = 1 + data[1] % 64;
  const std::string bytes(data + 2, data + size);
  const outcome whole = parse(bytes, bytes.size() + 1, event_max);
  for (const std::size_t split : {std::size_t{1}, piece})
    if (parse(bytes, split, event_max) != whole)
      std::abort();
  return 0;
}
