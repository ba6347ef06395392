#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// zstd's digests of a dictionary; its own header stays in our sources.
struct ZSTD_CDict_s;
struct ZSTD_DDict_s;

namespace skep::store {

class dictionary;
using dictionary_ptr = std::shared_ptr<const dictionary>;

/// Trains a dictionary of at most `bytes_max` bytes on samples of what it is to compress (zstd's
/// ZDICT); those under 8 bytes are left out. errc::bad_request when they are too few, when zstd
/// makes nothing of them, with what to do, and when they have over 4 GiB together. Takes seconds
/// for some megabytes: never on an actor's thread.
expected<std::string> train_dictionary(const std::vector<std::string>& samples,
                                       std::size_t bytes_max);
/// Makes a dictionary of what train_dictionary() or `zstd --train` made; errc::malformed when it is
/// none.
expected<dictionary_ptr> make_dictionary(std::string_view content);
/// The same from a file; errc::not_found when it cannot be read, errc::too_large above 16 MiB.
expected<dictionary_ptr> load_dictionary(const std::string& path);

/// A zstd dictionary, digested for compressing (level 3) and for decompressing. Immutable and
/// thread-safe.
class dictionary {
public:
  ~dictionary();
  dictionary(const dictionary&) = delete;
  dictionary& operator=(const dictionary&) = delete;

  /// As it stands in the head of every frame made with it; never 0.
  std::uint32_t id() const {
    return id_;
  }
  /// Memory it takes, both digests included.
  std::size_t bytes() const;
  const ZSTD_CDict_s* compressing() const {
    return compressing_;
  }
  const ZSTD_DDict_s* decompressing() const {
    return decompressing_;
  }

private:
  friend expected<dictionary_ptr> make_dictionary(std::string_view content);
  dictionary() = default;

  std::uint32_t id_ = 0;
  ZSTD_CDict_s* compressing_ = nullptr;
  ZSTD_DDict_s* decompressing_ = nullptr;
};

} // namespace skep::store
