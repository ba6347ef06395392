#pragma once

#include "messages/failure.hpp"

#include <string>
#include <string_view>

namespace skep::actors {

/// How one errc looks to a client.
struct api_status {
  int status = 500;
  std::string_view type;
  /// Empty: null in the envelope.
  std::string_view code;
  /// What x-should-retry says; the official clients obey it.
  bool should_retry = false;
};

/// One exhaustive table from our errors to OpenAI's.
api_status api_status_of(errc code);
/// The same with what is known besides: a provider's 409, 422 and 501 stay what they are, and who
/// has tried for the client already tells it not to.
api_status api_status_of(const failure& why);

/// What a failure says to a client: its detail, or its code's name.
std::string text_of(const failure& why);

} // namespace skep::actors
