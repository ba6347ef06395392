#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace skep::actors {

/// Turns what a connection has taken back into credit. A producer pays for a chunk by its size in
/// memory, the connection reports the bytes of the frames that chunk became; a chunk's cost is
/// granted again once the last byte of its frame is gone. So a stream never has more on the way
/// than its window and one chunk. Not thread-safe.
class stream_ledger {
public:
  /// A frame was handed to the connection. A cost of 0 stands for a frame nobody paid for.
  void wrote(std::size_t frame_bytes, std::uint64_t cost) {
    debts_.push_back({frame_bytes, cost});
    owed_ += cost;
  }
  /// The connection took this many bytes; returns the credit that is free again.
  std::uint64_t drained(std::size_t bytes) {
    std::uint64_t granted = 0;
    ahead_ += bytes;
    while (!debts_.empty() && debts_.front().frame_bytes <= ahead_) {
      ahead_ -= debts_.front().frame_bytes;
      granted += debts_.front().cost;
      debts_.pop_front();
    }
    owed_ -= granted;
    return granted;
  }
  /// Credit on the way.
  std::uint64_t owed() const {
    return owed_;
  }

private:
  struct debt {
    std::size_t frame_bytes = 0;
    std::uint64_t cost = 0;
  };

  std::deque<debt> debts_;
  // Bytes drained of the frame in front.
  std::size_t ahead_ = 0;
  std::uint64_t owed_ = 0;
};

} // namespace skep::actors
