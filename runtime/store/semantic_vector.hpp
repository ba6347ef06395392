#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace skep::store {

/// A vector as the semantic index keeps it: one signed byte per dimension and the reciprocal of its
/// length, so that a cosine is a dot product of bytes and two multiplications. Padded with zeros to
/// whole blocks, for loops the compiler turns into vector instructions.
struct byte_vector {
  static constexpr std::size_t block = 128;

  std::vector<std::int8_t> values;
  float inverse_length = 0;

  bool empty() const {
    return values.empty();
  }
};

/// The bytes a vector of that many dimensions takes.
constexpr std::size_t padded(std::size_t dimensions) {
  return (dimensions + byte_vector::block - 1) / byte_vector::block * byte_vector::block;
}

/// Rounds to 255 steps of the largest component. Empty for a vector without direction: no
/// components, all zeros, or one that is no number.
byte_vector to_bytes(std::span<const float> from);

/// The dot product of two vectors of `blocks` blocks.
std::int32_t dot(const std::int8_t* a, const std::int8_t* b, std::size_t blocks);

/// The cosine of two vectors of the same size; 0 when the sizes differ.
float cosine(const byte_vector& a, const byte_vector& b);

} // namespace skep::store
