// HTTP requests from arbitrary bytes: no crash, no growth past the limits, and the same requests
// whether the bytes come at once or in pieces.
#include "runtime/net/http_session_parser.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using skep::net::http_request_parser;
using outcome = http_request_parser::outcome;

constexpr std::size_t header_max_bytes = 1024;
constexpr std::size_t body_max_bytes = 4096;

void expect(bool holds) {
  if (!holds)
    std::abort();
}

/// Parses all of `bytes`, `piece` at a time; what came out as text, to be compared.
std::string parse(std::string_view bytes, std::size_t piece) {
  http_request_parser parser{header_max_bytes};
  std::string waiting;
  std::string result;
  while (!bytes.empty()) {
    waiting.append(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (bool more = true; more && !waiting.empty();) {
      const auto step = parser.feed(waiting);
      auto what = step.what;
      expect(step.consumed <= waiting.size());
      waiting.erase(0, step.consumed);
      more = what != outcome::need_more;
      if (what == outcome::head)
        what = parser.begin_body(body_max_bytes);
      // What a packed body is refused for depends on how much is unpacked at a time.
      const bool packed = parser.request().headers.contains("content-encoding");
      if (what == outcome::refused)
        return result + "refused " + (packed ? "" : std::to_string(parser.why().status));
      expect(parser.request().body.size() <= body_max_bytes);
      if (what == outcome::need_more) {
        expect(more || waiting.size() < header_max_bytes);
        continue;
      }
      const auto request = parser.take();
      expect(request.headers.block().find("\n\r\n") == std::string::npos);
      expect(!request.path.empty());
      result += request.method + ' ' + request.path + '?' + request.query + '\n'
                + request.headers.block() + request.body + '\n';
      parser.reset();
    }
  }
  return result;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  // The first byte says how the rest is cut.
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  expect(parse(bytes, bytes.size() + 1) == parse(bytes, std::size_t{data[0]} % 32 + 1));
  return 0;
}
