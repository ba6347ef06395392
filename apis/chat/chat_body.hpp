#pragma once

#include "messages/chat.hpp"
#include "messages/failure.hpp"

#include <string>

// What the readers of clients' requests say.
namespace skep::actors {

/// What is wrong with a request, for the error envelope.
struct api_error {
  failure why;
  /// The member at fault ("messages"); empty when none in particular is.
  std::string param;
  /// The request is right, but the typed reading has no place for it: who speaks its API may serve
  /// it all the same.
  bool untyped = false;
};

/// A client's request body.
struct chat_body {
  msg::chat_request request;
  /// stream_options.include_usage.
  bool include_usage = false;
};

} // namespace skep::actors
