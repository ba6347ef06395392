#pragma once

#include "messages/failure.hpp"
#include "messages/message.hpp"

#include <cstdint>
#include <string>
#include <utility>

// Tags 0x00xx: what every actor understands.
namespace skep::msg {

/// A failure as it travels.
struct failure_reply {
  std::uint8_t code = 0;
  std::string detail;
  std::uint32_t retry_after_ms = 0;
  /// As in failure.
  std::string provider{};
  std::uint32_t status = 0;
  std::uint32_t tries = 0;
  std::string param{};
  std::string provider_type{};
  std::string provider_code{};
  std::uint8_t provider_api = 0; // A native_api.
  std::string provider_body{};
  SKEP_MESSAGE(0x0001, 4, code, detail, retry_after_ms, provider, status, tries, param,
               provider_type, provider_code, provider_api, provider_body)
};

inline failure_reply failure_message(const failure& why) {
  return {static_cast<std::uint8_t>(why.code),
          why.detail,
          static_cast<std::uint32_t>(why.retry_after.count()),
          why.provider,
          why.status,
          why.tries,
          why.param,
          why.provider_type,
          why.provider_code,
          static_cast<std::uint8_t>(why.provider_api),
          why.provider_body};
}

/// Codes of a newer peer become errc::actor_failed.
inline failure failure_from(failure_reply from) {
  failure why{errc_from(from.code).value_or(errc::actor_failed), std::move(from.detail),
              std::chrono::milliseconds{from.retry_after_ms}};
  why.provider = std::move(from.provider);
  why.status = from.status;
  why.tries = from.tries;
  why.param = std::move(from.param);
  why.provider_type = std::move(from.provider_type);
  why.provider_code = std::move(from.provider_code);
  why.provider_api = static_cast<msg::native_api>(from.provider_api);
  why.provider_body = std::move(from.provider_body);
  return why;
}

/// The answer when there is nothing to say but "done".
struct ack {
  SKEP_MESSAGE(0x0002, 1)
};

} // namespace skep::msg
