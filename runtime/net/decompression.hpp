#pragma once

// Unpacking bodies that come in pieces from whoever likes to send them. Pure.
#include "runtime/net/compression.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace skep::net {

/// The coding that a Content-Encoding field names; nothing for one we do not have, or for several.
std::optional<content_coding> read_coding(std::string_view content_encoding);

/// Unpacks one body. Several gzip members or zstd frames in a row are one body. Not thread-safe.
class unpacker {
public:
  enum class outcome : std::uint8_t { taken, too_large, malformed };

  virtual ~unpacker() = default;
  /// Appends what the next bytes unpack to. too_large as soon as `into` would exceed `bytes_max`,
  /// so that a bomb costs no more than its bound.
  virtual outcome feed(std::string_view packed, std::string& into, std::size_t bytes_max) = 0;
  /// True when what was fed is whole.
  [[nodiscard]] virtual bool is_whole() const = 0;
  /// What it holds itself.
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
};

/// `coding` is not identity. Throws std::bad_alloc.
std::unique_ptr<unpacker> make_unpacker(content_coding coding);

} // namespace skep::net
