#include "runtime/net/compression.hpp"

#include "runtime/base/text.hpp"
#include "runtime/net/http_message.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

namespace skep::net {

namespace {

// Weights in thousandths, as fine as RFC 9110 has them.
constexpr int weight_max = 1000;
constexpr int not_named = -1;

/// qvalue of RFC 9110: "0", "1", "0.5", "1.000", at most three decimals; nothing otherwise.
std::optional<int> read_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1'))
    return std::nullopt;
  if (text.size() > 1 && text[1] != '.')
    return std::nullopt;
  int weight = (text[0] - '0') * weight_max;
  int place = weight_max / 10;
  for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (digit < '0' || digit > '9')
      return std::nullopt;
    weight += (digit - '0') * place;
    place /= 10;
  }
  return weight <= weight_max ? std::optional{weight} : std::nullopt;
}

/// The weight of one member's parameters; 1 without any, nothing when q cannot be read.
std::optional<int> weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto parameter = trimmed(next_of(parameters, ';'));
    const auto equals = parameter.find('=');
    if (equals != std::string_view::npos
        && equal_ignoring_case(trimmed(parameter.substr(0, equals)), "q"))
      return read_weight(trimmed(parameter.substr(equals + 1)));
  }
  return weight_max;
}

/// What the field says of each coding we have.
struct weights {
  int gzip = not_named;
  int zstd = not_named;
  int identity = not_named;
  int others = not_named;

  int* slot_of(std::string_view name) {
    if (equal_ignoring_case(name, "gzip") || equal_ignoring_case(name, "x-gzip"))
      return &gzip;
    if (equal_ignoring_case(name, "zstd"))
      return &zstd;
    if (equal_ignoring_case(name, "identity"))
      return &identity;
    return name == "*" ? &others : nullptr;
  }
};

weights read_weights(std::string_view field) {
  weights read;
  while (!field.empty()) {
    auto member = trimmed(next_of(field, ','));
    const auto name = trimmed(next_of(member, ';'));
    const auto weight = weight_of(member);
    if (auto* slot = read.slot_of(name); slot != nullptr && weight)
      *slot = std::max(*slot, *weight);
  }
  return read;
}

std::optional<std::string> gzip_of(std::string_view body, int level) {
  if (body.size() > std::numeric_limits<uInt>::max())
    return std::nullopt;
  z_stream state{};
  constexpr int gzip_window = 15 + 16; // The largest window; 16 asks for gzip's frame.
  constexpr int memory_level = 8;      // zlib's default: 256 KiB while it works.
  if (deflateInit2(&state, level, Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY)
      != Z_OK)
    return std::nullopt;
  std::string packed;
  packed.resize(deflateBound(&state, static_cast<uLong>(body.size())));
  // zlib's interface lacks the const; it only reads.
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  state.avail_in = static_cast<uInt>(body.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  const bool whole = deflate(&state, Z_FINISH) == Z_STREAM_END;
  packed.resize(state.total_out);
  deflateEnd(&state);
  return whole ? std::optional{std::move(packed)} : std::nullopt;
}

std::optional<std::string> zstd_of(std::string_view body, int level) {
  std::string packed;
  packed.resize(ZSTD_compressBound(body.size()));
  const auto size = ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), level);
  if (ZSTD_isError(size) != 0)
    return std::nullopt;
  packed.resize(size);
  return packed;
}

} // namespace

coding_choice negotiate_coding(std::string_view accept_encoding) {
  const auto read = read_weights(accept_encoding);
  const auto weight = [&](int named, int otherwise) {
    if (named != not_named)
      return named;
    return read.others != not_named ? read.others : otherwise;
  };
  const int gzip = weight(read.gzip, 0);
  const int zstd = weight(read.zstd, 0);
  coding_choice choice;
  choice.identity_refused = weight(read.identity, weight_max) == 0;
  const int best = std::max(gzip, zstd);
  // Identity wins only where the client says that it prefers it.
  if (best == 0 || (read.identity > best))
    return choice;
  choice.coding = gzip == best ? content_coding::gzip : content_coding::zstd;
  return choice;
}

std::string_view word_of(content_coding coding) {
  switch (coding) {
    case content_coding::gzip: return "gzip";
    case content_coding::zstd: return "zstd";
    case content_coding::identity: break;
  }
  return {};
}

bool is_compressible(std::string_view content_type) {
  const auto type = trimmed(content_type.substr(0, content_type.find(';')));
  if (equal_ignoring_case(type, "text/event-stream"))
    return false;
  return equal_ignoring_case(type, "application/json")
         || equal_ignoring_case(type.substr(0, std::min<std::size_t>(5, type.size())), "text/");
}

std::optional<std::string> compress(std::string_view body, content_coding coding, int level) {
  switch (coding) {
    case content_coding::gzip: return gzip_of(body, level);
    case content_coding::zstd: return zstd_of(body, level);
    case content_coding::identity: break;
  }
  return std::string{body};
}

} // namespace skep::net
