#include "messages/msgpack_reader.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace skep {

namespace {

// What a first byte announces.
enum kind : std::uint8_t {
  nil_v,
  bool_v,
  uint_v,
  int_v,
  float_v,
  str_v,
  bin_v,
  array_v,
  map_v,
  ext_v,
  none_v
};

constexpr std::array names{"nil", "bool",  "uint", "int", "float",         "str",
                           "bin", "array", "map",  "ext", "an unused code"};

struct format {
  kind what = none_v;
  /// Bytes of value or length that follow.
  std::uint8_t follow = 0;
};

/// 0xc0 to 0xdf, in order (msgpack specification, "Formats").
constexpr std::array<format, 32> formats{{
  {nil_v, 0},   {none_v, 0},  {bool_v, 0}, {bool_v, 0},  {bin_v, 1},   {bin_v, 2},  {bin_v, 4},
  {ext_v, 1},   {ext_v, 2},   {ext_v, 4},  {float_v, 4}, {float_v, 8}, {uint_v, 1}, {uint_v, 2},
  {uint_v, 4},  {uint_v, 8},  {int_v, 1},  {int_v, 2},   {int_v, 4},   {int_v, 8},  {ext_v, 0},
  {ext_v, 0},   {ext_v, 0},   {ext_v, 0},  {ext_v, 0},   {str_v, 1},   {str_v, 2},  {str_v, 4},
  {array_v, 2}, {array_v, 4}, {map_v, 2},  {map_v, 4},
}};

std::uint64_t sign_extended(std::uint64_t value, std::size_t bytes) {
  const auto shift = 64 - 8 * bytes;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
}

} // namespace

msgpack_reader::msgpack_reader(std::string_view bytes, const decode_limits& limits)
  : bytes_(bytes), limits_(limits) {
  if (bytes.size() > limits.bytes_max)
    fail(errc::too_large, std::to_string(bytes.size()) + " bytes, at most "
                            + std::to_string(limits.bytes_max) + " are allowed");
}

std::nullopt_t msgpack_reader::fail(errc code, std::string detail) {
  if (!failed())
    why_ = failure{code, std::move(detail)};
  return std::nullopt;
}

void msgpack_reader::located(std::string_view place) {
  const bool first = !std::exchange(placed_, true);
  const bool index = !first && !why_.detail.empty() && why_.detail.front() == '[';
  why_.detail = std::string{place} + (first ? ": " : index ? "" : ".") + why_.detail;
}

std::optional<std::uint64_t> msgpack_reader::big_endian(std::size_t count) {
  const auto raw = take(count);
  if (!raw)
    return std::nullopt;
  // A whole load and a swap: this runs for every number of every envelope.
  std::uint64_t value = 0;
  if (count == sizeof(value)) {
    std::memcpy(&value, raw->data(), sizeof(value));
    return __builtin_bswap64(value);
  }
  for (const auto byte : *raw)
    value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

/// The value of a one-byte form (fixint, fixstr, fixarray), which most of an envelope is made of;
/// nothing is taken when the next byte is none.
inline std::optional<std::uint8_t> msgpack_reader::fixed(std::uint8_t form, std::uint8_t mask) {
  if (position_ >= bytes_.size() || failed())
    return std::nullopt;
  const auto byte = static_cast<std::uint8_t>(bytes_[position_]);
  if ((byte & ~mask) != form)
    return std::nullopt;
  ++position_;
  return static_cast<std::uint8_t>(byte & mask);
}

std::optional<std::string_view> msgpack_reader::take(std::uint64_t count) {
  if (failed())
    return std::nullopt;
  if (count > bytes_.size() - position_)
    return fail(errc::malformed, "the bytes end too early");
  const auto taken = bytes_.substr(position_, count);
  position_ += count;
  return taken;
}

std::optional<msgpack_reader::head> msgpack_reader::read_head(const char*) {
  const auto first = take(1);
  if (!first)
    return std::nullopt;
  const auto byte = static_cast<std::uint8_t>(first->front());
  if (byte < 0x80)
    return head{uint_v, byte};
  if (byte < 0x90)
    return head{map_v, byte & 0x0fu};
  if (byte < 0xa0)
    return head{array_v, byte & 0x0fu};
  if (byte < 0xc0)
    return head{str_v, byte & 0x1fu};
  if (byte >= 0xe0)
    return head{int_v, sign_extended(byte, 1)};
  const auto& found = formats[byte - 0xc0];
  if (byte == 0xc2 || byte == 0xc3)
    return head{bool_v, byte & 1u};
  if (byte >= 0xd4 && byte <= 0xd8)
    return head{ext_v, std::uint64_t{1} << (byte - 0xd4)};
  const auto value = big_endian(found.follow);
  if (!value)
    return std::nullopt;
  if (found.what == int_v)
    return head{int_v, sign_extended(*value, found.follow)};
  if (found.what == float_v && found.follow == 4)
    return head{float_v, std::bit_cast<std::uint64_t>(static_cast<double>(
                           std::bit_cast<float>(static_cast<std::uint32_t>(*value))))};
  return head{found.what, *value};
}

std::optional<std::uint32_t> msgpack_reader::counted(const head& found, std::uint64_t bytes_each) {
  // Every element takes at least a byte, so a count beyond what is left is a lie.
  if (found.value > (bytes_.size() - position_) / bytes_each)
    return fail(errc::malformed, "a list claims more elements than there are bytes");
  if (found.value > limits_.elements_max)
    return fail(errc::too_large, std::to_string(found.value) + " elements, at most "
                                   + std::to_string(limits_.elements_max) + " are allowed");
  return static_cast<std::uint32_t>(found.value);
}

std::optional<std::uint32_t> msgpack_reader::array() {
  if (const auto small = fixed(0x90, 0x0f))
    return counted({array_v, *small}, 1);
  const auto found = read_head("array");
  if (!found)
    return std::nullopt;
  if (found->kind != array_v)
    return fail(errc::malformed, std::string{"expected array, got "} + names[found->kind]);
  return counted(*found, 1);
}

std::optional<std::uint32_t> msgpack_reader::map() {
  const auto found = read_head("map");
  if (!found)
    return std::nullopt;
  if (found->kind != map_v)
    return fail(errc::malformed, std::string{"expected map, got "} + names[found->kind]);
  return counted(*found, 2);
}

std::optional<std::string_view> msgpack_reader::text() {
  if (const auto small = fixed(0xa0, 0x1f))
    return take(*small);
  const auto found = read_head("str");
  if (!found)
    return std::nullopt;
  if (found->kind != str_v)
    return fail(errc::malformed, std::string{"expected str, got "} + names[found->kind]);
  return take(found->value);
}

std::optional<std::string_view> msgpack_reader::binary() {
  const auto found = read_head("bin");
  if (!found)
    return std::nullopt;
  if (found->kind != bin_v)
    return fail(errc::malformed, std::string{"expected bin, got "} + names[found->kind]);
  return take(found->value);
}

std::optional<bool> msgpack_reader::boolean() {
  const auto found = read_head("bool");
  if (!found)
    return std::nullopt;
  if (found->kind != bool_v)
    return fail(errc::malformed, std::string{"expected bool, got "} + names[found->kind]);
  return found->value != 0;
}

std::optional<std::uint64_t> msgpack_reader::unsigned_integer() {
  if (const auto small = fixed(0x00, 0x7f))
    return *small;
  const auto found = read_head("uint");
  if (!found)
    return std::nullopt;
  const bool fits = found->kind == uint_v
                    || (found->kind == int_v && static_cast<std::int64_t>(found->value) >= 0);
  if (!fits)
    return fail(errc::malformed, std::string{"expected uint, got "} + names[found->kind]);
  return found->value;
}

std::optional<std::int64_t> msgpack_reader::signed_integer() {
  const auto found = read_head("int");
  if (!found)
    return std::nullopt;
  const auto value = static_cast<std::int64_t>(found->value);
  if (found->kind == int_v || (found->kind == uint_v && value >= 0))
    return value;
  return fail(errc::malformed, std::string{"expected int, got "} + names[found->kind]);
}

std::optional<double> msgpack_reader::real() {
  const auto found = read_head("float");
  if (!found)
    return std::nullopt;
  switch (found->kind) {
    case float_v: return std::bit_cast<double>(found->value);
    case uint_v: return static_cast<double>(found->value);
    case int_v: return static_cast<double>(static_cast<std::int64_t>(found->value));
    default: return fail(errc::malformed, std::string{"expected float, got "} + names[found->kind]);
  }
}

bool msgpack_reader::nil() {
  if (failed() || at_end() || static_cast<unsigned char>(bytes_[position_]) != 0xc0)
    return false;
  ++position_;
  return true;
}

bool msgpack_reader::enter() {
  if (++depth_ <= limits_.depth_max)
    return true;
  fail(errc::too_large, "nested deeper than " + std::to_string(limits_.depth_max));
  return false;
}

bool msgpack_reader::skip() {
  const auto found = read_head("anything");
  if (!found)
    return false;
  switch (found->kind) {
    case str_v:
    case bin_v: return take(found->value).has_value();
    case ext_v: return take(found->value + 1).has_value();
    case array_v:
    case map_v: {
      const auto count = counted(*found, found->kind == map_v ? 2 : 1);
      if (!count || !enter())
        return false;
      for (std::uint64_t left = std::uint64_t{*count} * (found->kind == map_v ? 2 : 1); left > 0;
           --left)
        if (!skip())
          return false;
      leave();
      return true;
    }
    case none_v: fail(errc::malformed, "a code msgpack does not use"); return false;
    default: return true;
  }
}

} // namespace skep
