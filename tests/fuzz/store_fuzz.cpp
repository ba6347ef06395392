// Compressed values from outside (a second level): read or refused, never beyond their bound; and
// what was packed comes back.
#include "runtime/store/value_codec.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const skep::store::value_codec codec{{}, {64, 0.05}};
  constexpr std::size_t bytes_max = 64 * 1024;
  const std::string bytes(data, data + size);
  if (const auto value = codec.unpack(bytes, bytes_max); value && value->size() > bytes_max)
    std::abort();
  if (const auto value = codec.decompress(bytes, bytes_max); value && value->size() > bytes_max)
    std::abort();
  const auto back = codec.unpack(codec.pack(bytes), size);
  if (!back || *back != bytes)
    std::abort();
  return 0;
}
