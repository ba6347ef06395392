#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Texts of providers that are JSON but for a character: models and gateways cut strings between the
// halves of a surrogate pair, or between the bytes of one character. The official clients of the
// APIs read such texts. For those that check() refused; what clients send is never repaired.
namespace skep::json {

/// The text with U+FFFD in place of each escape of half a surrogate pair and of each byte that is
/// no UTF-8. The same text where there is none. One pass.
std::string repaired(std::string_view text);

/// Repairs the texts of one stream. A character that ends a string of one text with its first half
/// and begins a string of the next one with its second is put together, into the second text: the
/// first one waits for it.
class stream_repair {
public:
  /// A text waits for the next one.
  bool holds() const {
    return held_.has_value();
  }
  /// The texts that are ready with this one, in their order.
  std::vector<std::string> add(std::string_view text);
  /// The text that waits, once no other follows.
  std::optional<std::string> finish();

private:
  struct half {
    std::string text;
    std::size_t at = 0; // Of the half, and its length.
    std::size_t length = 0;
  };

  std::optional<half> held_;
};

} // namespace skep::json
