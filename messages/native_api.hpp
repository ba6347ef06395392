#pragma once

#include <cstdint>

namespace skep::msg {

/// An API of which a call carries what its speakers wrote, as it came, beside the typed reading.
/// Where both ends speak it, that is passed on, and nothing of it is lost.
enum class native_api : std::uint8_t {
  none = 0,
  /// OpenAI's chat completions.
  chat = 1,
  /// Anthropic's Messages.
  messages = 2,
};

} // namespace skep::msg
