#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skep::net {

/// What a frame is for. Wire format: append only.
enum class frame_kind : std::uint8_t {
  /// Opens a session; the body is msg::node_hello.
  hello = 1,
  /// A hello is not accepted; the body is msg::node_refusal.
  refusal = 2,
  /// Messages; the body is records of length and bytes.
  data = 3,
  /// Life and round-trip time; the body is msg::link_beat.
  beat = 4,
  /// Only what the head says: an acknowledgement, credit. No body.
  ack = 5,
  /// The sender ends the session in good order. No body.
  goodbye = 6,
};

inline constexpr std::uint8_t protocol_major = 1;

/// The first part of every frame, 32 bytes, little endian:
/// "sk" | protocol major u8 | kind u8 | token u64 | sequence u64 | ack u64 | window u32.
struct frame_head {
  static constexpr std::size_t size = 32;

  std::uint8_t major = protocol_major;
  frame_kind kind = frame_kind::ack;
  /// The receiver's own token, as its hello gave it; 0 in hello and refusal frames.
  std::uint64_t token = 0;
  /// data: the frame's number in this session, from 1 without gaps; else: the last one sent.
  std::uint64_t sequence = 0;
  /// All data frames up to this one have arrived.
  std::uint64_t ack = 0;
  /// Bytes of data bodies the sender takes beyond those acknowledged.
  std::uint32_t window = 0;

  friend bool operator==(const frame_head&, const frame_head&) = default;
};

std::array<char, frame_head::size> encode_head(const frame_head& head);
/// Nothing when the bytes are no head of ours. A head of another major decodes as far as `kind`, so
/// that its sender can be told.
std::optional<frame_head> decode_head(std::string_view bytes);

/// One record in a data body: u32 little endian, then bytes. The top bit of the length says that
/// the message goes on in the next record: messages over fragment_bytes are cut.
inline constexpr std::uint32_t record_more_flag = 1u << 31;
inline constexpr std::size_t record_head_bytes = 4;
inline constexpr std::size_t fragment_bytes = std::size_t{256} << 10;

std::array<char, record_head_bytes> encode_record_head(std::size_t bytes, bool more);

/// Walks through the records of a data body. The bytes must outlive it.
class record_reader {
public:
  explicit record_reader(std::string_view body) : rest_(body) {}

  struct record {
    std::string_view bytes;
    bool more = false;
  };
  /// Nothing at the end, or when what is left is no record; malformed() tells which.
  std::optional<record> next();
  bool malformed() const {
    return malformed_;
  }

private:
  std::string_view rest_;
  bool malformed_ = false;
};

} // namespace skep::net
