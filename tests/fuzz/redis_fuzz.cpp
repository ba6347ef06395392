// A Redis server that says anything: replies are read or given up, within their bounds, and the
// same bytes, whole and split, give the same replies.
#include "runtime/io/redis_reader.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

namespace {

struct outcome {
  std::vector<std::size_t> replies; // The text's size of each.
  bool failed = false;

  friend bool operator==(const outcome&, const outcome&) = default;
};

outcome read(std::string_view bytes, std::size_t piece) {
  skep::io::redis_reading state;
  state.bytes_max = 1024;
  state.elements_max = 16;
  state.awaited = 8;
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader{redisReaderCreate(),
                                                                        &redisReaderFree};
  skep::io::use_bounded_replies(*reader, state);
  outcome out;
  while (!bytes.empty() && !out.failed) {
    const auto size = std::min(piece, bytes.size());
    out.failed = redisReaderFeed(reader.get(), bytes.data(), size) != REDIS_OK;
    bytes.remove_prefix(size);
    for (void* got = nullptr; !out.failed; got = nullptr) {
      out.failed = redisReaderGetReply(reader.get(), &got) != REDIS_OK;
      if (out.failed || got == nullptr)
        break;
      const auto reply = skep::io::take_reply(got);
      reader->fn->freeObject(got);
      out.replies.push_back(reply.text.size());
      if (reply.text.size() > state.bytes_max)
        std::abort();
    }
  }
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1)
    return 0;
  const std::string bytes(data + 1, data + size);
  const auto whole = read(bytes, bytes.size() + 1);
  for (const std::size_t split : {std::size_t{1}, std::size_t{1} + data[0] % 64})
    if (read(bytes, split) != whole)
      std::abort();
  return 0;
}
