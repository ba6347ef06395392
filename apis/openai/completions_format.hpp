#pragma once

#include "apis/chat/answer_format.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace skep::actors {

/// What the writer of text completions needs to know of its request.
struct completions_wish {
  /// With `echo` the prompts, which the texts begin with; else none.
  std::vector<std::string> echoed;
  /// Answers per prompt.
  std::uint32_t choices = 1;
  /// stream_options.include_usage.
  bool include_usage = false;
};

/// OpenAI's text completions, whole and streamed.
std::unique_ptr<answer_format> completions_format(completions_wish wish);

} // namespace skep::actors
