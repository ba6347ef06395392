#include "runtime/store/semantic_vector.hpp"

#include <algorithm>
#include <cmath>

namespace skep::store {

namespace {

constexpr float steps = 127;

} // namespace

std::int32_t dot(const std::int8_t* a, const std::int8_t* b, std::size_t blocks) {
  std::int32_t sum = 0;
  for (; blocks > 0; --blocks, a += byte_vector::block, b += byte_vector::block) {
    // A product fits 15 bits and a block's sum 22, so 16 times 16 bits may be added up as 32.
    std::int32_t part = 0;
    for (std::size_t i = 0; i < byte_vector::block; ++i)
      part += static_cast<std::int16_t>(a[i]) * static_cast<std::int16_t>(b[i]);
    sum += part;
  }
  return sum;
}

byte_vector to_bytes(std::span<const float> from) {
  float largest = 0;
  for (const float each : from) {
    if (!std::isfinite(each))
      return {};
    largest = std::max(largest, std::abs(each));
  }
  if (largest <= 0)
    return {};
  byte_vector made;
  made.values.resize(padded(from.size()));
  for (std::size_t i = 0; i < from.size(); ++i)
    made.values[i] = static_cast<std::int8_t>(std::lround(from[i] / largest * steps));
  const auto blocks = made.values.size() / byte_vector::block;
  const auto square = dot(made.values.data(), made.values.data(), blocks);
  made.inverse_length = 1 / std::sqrt(static_cast<float>(square));
  return made;
}

float cosine(const byte_vector& a, const byte_vector& b) {
  if (a.values.size() != b.values.size())
    return 0;
  const auto product = dot(a.values.data(), b.values.data(), a.values.size() / byte_vector::block);
  return static_cast<float>(product) * a.inverse_length * b.inverse_length;
}

} // namespace skep::store
