// The first byte picks a message or the envelope; whatever decodes must encode to the same value.
#include "messages/codec.hpp"
#include "messages/envelope.hpp"
#include "messages/families.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace skep;

template <class T>
void round_trip(std::string_view bytes) {
  const auto first = decode<T>(bytes);
  if (!first)
    return;
  std::string again;
  encode(*first, again);
  const auto second = decode<T>(again);
  if (!second || !(*second == *first))
    std::abort();
}

template <class... Ts>
void pick(std::size_t n, std::string_view bytes, type_list<Ts...>) {
  std::size_t index = 0;
  ((index++ == n ? round_trip<Ts>(bytes) : void()), ...);
}

void envelope_round_trip(std::string_view bytes) {
  const std::chrono::steady_clock::time_point now{std::chrono::hours{1}};
  const auto first = decode_envelope(bytes, now);
  if (!first)
    return;
  std::string again;
  encode_envelope(first->head, first->payload, now, again);
  const auto second = decode_envelope(again, now);
  if (!second || second->payload != first->payload || second->head.kind != first->head.kind)
    std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  envelope_round_trip(bytes);
  pick(data[0] % all_messages::size, bytes, all_messages{});
  return 0;
}
