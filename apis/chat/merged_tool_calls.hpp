#pragma once

#include "apis/chat/merged_object.hpp"
#include "messages/chat.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace skep::actors {

/// The calls of one message put together from the pieces of a stream: arguments grow, ids, types
/// and names stay as they came first, extra members are merged as merged_object does it. Adding a
/// piece costs as much as the piece is long. Pure. Not thread-safe.
class merged_tool_calls {
public:
  /// False when a call has more members than any has: then it cannot be put together.
  bool add(const msg::tool_call& piece);

  bool empty() const {
    return calls_.empty();
  }
  /// Memory they keep, about.
  std::size_t bytes() const {
    return bytes_;
  }
  /// The calls in the order of their indexes, each with its place as index.
  std::vector<msg::tool_call> take();

private:
  struct entry {
    msg::tool_call call;
    merged_object extra;
  };

  std::map<std::uint32_t, entry> calls_;
  std::size_t bytes_ = 0;
};

} // namespace skep::actors
