#pragma once

// Content coding of whole answers (RFC 9110, 8.4 and 12.5.3). Pure; a stream is never compressed:
// its pieces must leave at once, and a compressor would keep them back.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skep::net {

/// How the bytes of a body are packed.
enum class content_coding : std::uint8_t { identity, gzip, zstd };

/// What compresses answers and what is left alone.
struct compression_config {
  bool enabled = false;
  /// Smaller bodies fit into a packet or two as they are.
  std::size_t min_bytes = 1000;
  /// Larger ones stay as they are: who answers pays the time, 11 ms per MiB with gzip at level 3.
  std::size_t max_bytes = std::size_t{4} << 20;
  /// 1 (fast) to 9 (small); zlib's scale, the same number is zstd's level.
  int level = 3;
};

/// What a client that sent these Accept-Encoding fields takes.
struct coding_choice {
  content_coding coding = content_coding::identity;
  /// The client refused the plain bytes: the smallest body is packed too.
  bool identity_refused = false;
};

/// Chooses a coding. No field, or an empty one, asks for identity. Among the codings the client
/// accepts that with the highest q wins; equals go to gzip, which every client has tested, then
/// to zstd. `*` stands for every coding the list does not name; q=0 refuses. A member that cannot
/// be read is passed over. When nothing is acceptable the plain bytes are sent all the same: they
/// are of more use to a client than 406.
coding_choice negotiate_coding(std::string_view accept_encoding);

/// "gzip", "zstd"; empty for identity.
std::string_view word_of(content_coding coding);

/// Text and JSON shrink; images and event streams do not or must not be packed.
bool is_compressible(std::string_view content_type);

/// The body packed; nothing when the library failed (out of memory). `level` as in
/// compression_config.
std::optional<std::string> compress(std::string_view body, content_coding coding, int level);

} // namespace skep::net
