#include "runtime/net/link_frame.hpp"

namespace skep::net {

namespace {

constexpr std::string_view magic = "sk";
constexpr std::size_t major_at = 2;
constexpr std::size_t kind_at = 3;
constexpr std::size_t token_at = 4;
constexpr std::size_t sequence_at = 12;
constexpr std::size_t ack_at = 20;
constexpr std::size_t window_at = 28;

template <class T>
void put(char* out, T value) {
  for (std::size_t n = 0; n < sizeof(T); ++n)
    out[n] = static_cast<char>(value >> (8 * n));
}

template <class T>
T get(std::string_view bytes, std::size_t at) {
  T value = 0;
  for (std::size_t n = 0; n < sizeof(T); ++n)
    value = static_cast<T>(value
                           | static_cast<T>(static_cast<unsigned char>(bytes[at + n])) << (8 * n));
  return value;
}

} // namespace

std::array<char, frame_head::size> encode_head(const frame_head& head) {
  std::array<char, frame_head::size> out{};
  out[0] = magic[0];
  out[1] = magic[1];
  out[major_at] = static_cast<char>(head.major);
  out[kind_at] = static_cast<char>(head.kind);
  put(out.data() + token_at, head.token);
  put(out.data() + sequence_at, head.sequence);
  put(out.data() + ack_at, head.ack);
  put(out.data() + window_at, head.window);
  return out;
}

std::optional<frame_head> decode_head(std::string_view bytes) {
  if (bytes.size() < kind_at + 1 || bytes.substr(0, magic.size()) != magic)
    return std::nullopt;
  frame_head head;
  head.major = get<std::uint8_t>(bytes, major_at);
  head.kind = static_cast<frame_kind>(get<std::uint8_t>(bytes, kind_at));
  if (head.major != protocol_major)
    return head; // What stands behind the kind may mean something else there.
  if (bytes.size() != frame_head::size || head.kind < frame_kind::hello
      || head.kind > frame_kind::goodbye)
    return std::nullopt;
  head.token = get<std::uint64_t>(bytes, token_at);
  head.sequence = get<std::uint64_t>(bytes, sequence_at);
  head.ack = get<std::uint64_t>(bytes, ack_at);
  head.window = get<std::uint32_t>(bytes, window_at);
  return head;
}

std::array<char, record_head_bytes> encode_record_head(std::size_t bytes, bool more) {
  std::array<char, record_head_bytes> out{};
  put(out.data(), static_cast<std::uint32_t>(bytes) | (more ? record_more_flag : 0u));
  return out;
}

std::optional<record_reader::record> record_reader::next() {
  if (rest_.empty() || malformed_)
    return std::nullopt;
  if (rest_.size() >= record_head_bytes) {
    const auto word = get<std::uint32_t>(rest_, 0);
    const std::size_t length = word & ~record_more_flag;
    if (length <= rest_.size() - record_head_bytes) {
      const record found{rest_.substr(record_head_bytes, length), (word & record_more_flag) != 0};
      rest_.remove_prefix(record_head_bytes + length);
      return found;
    }
  }
  malformed_ = true;
  return std::nullopt;
}

} // namespace skep::net
