#pragma once

#include "actors/gateway/endpoint_table.hpp"
#include "messages/chat.hpp"
#include "messages/errc.hpp"
#include "runtime/base/clock.hpp"

#include <functional>
#include <string>

namespace skep::actors {

/// What a finished request was, for the access log and the metrics.
struct request_summary {
  endpoint what = endpoint::unknown;
  /// As metrics show it.
  std::string route{label_of(endpoint::unknown)};
  bool operational = false;
  /// The client speaks Anthropic's API.
  bool anthropic = false;
  std::string method;
  std::string path;
  std::string request_id;
  /// A name of the configuration, never what the client sent.
  std::string model = "none";
  /// What the client called the model, cut to a sane length; empty when the request names none.
  std::string asked;
  /// The model's own name should it exist; empty when nobody answers for it.
  std::string full;
  /// 499 when the client left before its answer was complete.
  int status = 0;
  bool streamed = false;
  errc error = errc::none;
  /// Of a failed request: why, in the words the client got, and the provider's HTTP status or 0.
  std::string reason;
  std::uint32_t upstream_status = 0;
  /// Of a failed request, too: the provider asked last, and all tries.
  msg::answer_origin origin;
  msg::token_usage usage;
  duration total{};
  /// Until the first token was written; zero when none was.
  duration first_token{};
  /// Our own share: from arrival until the call was passed on, and writing the answer's head.
  duration overhead{};

  void is(const served_endpoint& place) {
    what = place.what;
    route = place.path;
    operational = place.is_operational();
  }
};

/// Told once how each request ended; on any thread, must be short.
using request_observer = std::function<void(const request_summary&)>;

} // namespace skep::actors
