#pragma once

#include "messages/chat.hpp"
#include "runtime/net/fetch_types.hpp"
#include "runtime/net/http_client.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace skep::actors {

/// What one transfer brought, on its way from the fetch thread to the connector. In-process
/// control: never shed, because the window of the transfer already bounds how much of it can be
/// under way.
struct fetch_event {
  enum class kind : std::uint8_t { headers, data, done };

  /// The call the transfer serves.
  std::uint64_t job = 0;
  /// Which of the call's transfers; events of one given up meanwhile are told apart by it.
  std::uint32_t epoch = 0;
  kind what = kind::done;
  /// data: the bytes.
  std::string data;
  /// headers: what the answer says about trying again; zero for nothing.
  std::chrono::milliseconds retry_after{0};
  /// headers: of the provider's rate limits.
  std::vector<msg::native_header> limits;
  /// done: how it ended.
  net::fetch_result result;
};

/// A handler that posts what a transfer brings to `to`, which it keeps alive until the transfer
/// ends.
std::shared_ptr<net::fetch_handler> post_events_to(caf::strong_actor_ptr to, std::uint64_t job,
                                                   std::uint32_t epoch);

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::fetch_event)
