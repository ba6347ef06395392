#pragma once

#include "messages/chat.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace skep::actors {

/// Writes the frames ("data: …\n\n") of one streamed answer.
class chunk_writer {
public:
  chunk_writer(const msg::chat_open& open, bool include_usage);

  std::string frame(const msg::chat_chunk& chunk);
  /// The usage frame (only when asked for) and [DONE].
  /// A choice of which nobody said how it ended has ended by itself, since the answer is whole.
  std::string finish(const msg::token_usage& usage);

private:
  std::string head_;
  std::string first_head_; // Of the first frame, where it says more.
  std::string tail_;
  bool include_usage_;

  /// A choice whose first delta, the one with the role, was written.
  struct begun_choice {
    std::uint32_t index = 0;
    bool calls_tools = false;
    bool finished = false;
  };
  begun_choice* find(std::uint32_t index);

  std::vector<begun_choice> begun_;
};

} // namespace skep::actors
