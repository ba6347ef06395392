// Bytes of whole frames: what a peer in another language can check itself against.
#include "messages/cluster.hpp"
#include "messages/codec.hpp"
#include "runtime/net/link_frame.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

#include <vector>

using namespace skep;
using namespace skep::net;
using namespace skep::test;

namespace {

const auto golden_folder = std::filesystem::path{SKEP_SOURCE_DIR} / "tests/wire/golden";

frame_head sample_head(frame_kind kind) {
  frame_head head;
  head.kind = kind;
  head.token = 0x0102'0304'0506'0708;
  head.sequence = 0x1112'1314'1516'1718;
  head.ack = 0x2122'2324'2526'2728;
  head.window = 0x3132'3334;
  return head;
}

/// Two lines: the head in hexadecimal, then the body.
void check_frame(const std::string& name, const frame_head& head, const std::string& body) {
  const auto encoded = encode_head(head);
  const std::string bytes{encoded.data(), encoded.size()};
  const auto text = to_hex(bytes) + "\n" + to_hex(body) + "\n";
  const auto path = golden_folder / ("frame_" + name + ".hex");
  if (updates_golden() && !std::filesystem::exists(path))
    write_file(path, text);
  INFO("frames of " << name << " changed: that is another protocol major");
  CHECK(read_file(path) == text);
  CHECK(decode_head(bytes) == head);
}

template <class T>
std::string encoded(const T& value) {
  std::string bytes;
  encode(value, bytes);
  return bytes;
}

std::string make_record(std::string_view bytes, bool more) {
  const auto head = encode_record_head(bytes.size(), more);
  return std::string{head.data(), head.size()} + std::string{bytes};
}

} // namespace

TEST_CASE("a hello frame has the bytes it always had", "[wire][link]") {
  auto head = sample_head(frame_kind::hello);
  head.token = head.sequence = head.ack = 0;
  const msg::node_hello hello{
    "hive", "a", "tcp://10.0.0.1:7400",     11, 2, 0x0102'0304'0506'0708, 13,
    14,     15,  {{0x0101, 1}, {0x0102, 1}}};
  check_frame("hello", head, encoded(hello));
}

TEST_CASE("a refusal frame has the bytes it always had", "[wire][link]") {
  auto head = sample_head(frame_kind::refusal);
  head.token = head.sequence = head.ack = 0;
  head.window = 0;
  check_frame("refusal", head, encoded(msg::node_refusal{"b", 4, "a live node is called a", 11}));
}

TEST_CASE("a data frame has the bytes it always had", "[wire][link]") {
  const auto body = make_record("one", false) + make_record("", false) + make_record("tw", true)
                    + make_record("o", false);
  check_frame("data", sample_head(frame_kind::data), body);
  record_reader reader{body};
  std::vector<std::string> all;
  std::string partial;
  while (const auto next = reader.next()) {
    partial += next->bytes;
    if (!next->more)
      all.push_back(std::exchange(partial, {}));
  }
  CHECK(all == std::vector<std::string>{"one", "", "two"});
}

TEST_CASE("beat, ack and goodbye frames have the bytes they always had", "[wire][link]") {
  check_frame("beat", sample_head(frame_kind::beat),
              encoded(msg::link_beat{1'000'000, 2'000'000, 3000, "state"}));
  check_frame("ack", sample_head(frame_kind::ack), {});
  check_frame("goodbye", sample_head(frame_kind::goodbye), {});
}
