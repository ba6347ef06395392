#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/store/dictionary.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::store {

/// When values are compressed.
struct codec_config {
  /// Shorter values stay raw.
  std::size_t bytes_min = 512;
  /// Values that do not shrink by this share of their bytes stay raw.
  double gain_min = 0.05;
};

/// What a codec did.
struct codec_stats {
  std::uint64_t compressed = 0;
  /// Too short, or not worth it.
  std::uint64_t kept_raw = 0;
  /// Of those compressed: their bytes before and after.
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  /// Damaged, over the caller's bound, or made with a dictionary not listed.
  std::uint64_t unreadable = 0;
};

/// Compresses values one by one with zstd, level 3, and the first of its dictionaries; reads what
/// was made with any of them, or with none. Its contexts are used again and again, so each shard
/// has its own: not thread-safe. The dictionaries may be shared.
class value_codec {
public:
  explicit value_codec(std::vector<dictionary_ptr> dictionaries = {}, codec_config config = {});
  ~value_codec();
  value_codec(const value_codec&) = delete;
  value_codec& operator=(const value_codec&) = delete;

  /// A zstd frame; nothing when the value is better kept raw.
  std::optional<std::string> compress(std::string_view value) const;
  /// The value of a frame. errc::too_large above `bytes_max`, errc::malformed for a damaged frame,
  /// errc::not_found when its dictionary is not listed.
  expected<std::string> decompress(std::string_view frame, std::size_t bytes_max) const;

  /// For stores that keep one string: a byte that tells the form ('r' raw, 'z' zstd), then the
  /// value or its frame.
  std::string pack(std::string_view value) const;
  /// As decompress(); errc::malformed for another form, too.
  expected<std::string> unpack(std::string_view packed, std::size_t bytes_max) const;

  codec_stats stats() const;
  /// Memory of its contexts, dictionaries not included.
  std::size_t bytes() const;

private:
  struct contexts;
  std::unique_ptr<contexts> contexts_;
};

} // namespace skep::store
