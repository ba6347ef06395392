#pragma once

#include "messages/chat.hpp"
#include "runtime/flow/token_bucket.hpp"

#include <cstdint>
#include <optional>

namespace skep::actors {

/// A provider's limits per minute, kept on our side, so that calls over them are refused here and
/// at once. Pure; not thread-safe.
class rate_limits {
public:
  /// 0: no such limit.
  rate_limits(std::uint32_t requests_per_minute, std::uint64_t tokens_per_minute, time_point now);

  /// Charges one call of about so many tokens, or says how long until that many are there. A call
  /// larger than a whole minute's worth is let in when nothing else was.
  duration admit(double tokens, time_point now);
  /// A call charged with `estimated` tokens has ended and took `actual`.
  void settle(double estimated, double actual, time_point now);

  bool counts_tokens() const {
    return tokens_.has_value();
  }

private:
  std::optional<flow::token_bucket> requests_;
  std::optional<flow::token_bucket> tokens_;
};

/// The tokens a call may take: its prompt's, as estimated from its bytes, and as many as it allows
/// the answer.
double tokens_asked(const msg::chat_request& request, std::size_t prompt_bytes);

} // namespace skep::actors
