#pragma once

#include "messages/chat.hpp"
#include "messages/failure.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>

// What is passed on as it came, where client and provider speak one API.
namespace skep::actors {

/// Whether the client speaks this API.
bool speaks(const shared_list<msg::native_request>& native, msg::native_api api);

/// What the client sent, when it speaks this API and nobody changed it; else null.
const msg::native_request* native_request_of(const shared_list<msg::native_request>& native,
                                             msg::native_api api);

/// errc::bad_request, in words for the client, when only providers that speak the client's API can
/// answer, and `api` is another one.
tl::expected<void, failure> may_be_read(const shared_list<msg::native_request>& native,
                                        msg::native_api api);

/// The body for a provider: the client's, for this model, streamed or whole.
std::string native_body_for(const msg::native_request& given, std::string_view model, bool stream);

/// The JSON without white space around it and without a byte order mark, which the typed reading
/// overlooks as well.
std::string_view bare_json(std::string_view text);

/// The object with this text as its `id`; as it is when it has that already.
std::string with_id(std::string_view object, std::string_view id);

/// An event of a provider's stream as a frame. A name is left out when empty.
std::string native_frame(std::string_view event, std::string_view data);

/// Reads frames that native_frame() wrote, one after the other.
class native_frames {
public:
  /// The frames must outlive it.
  explicit native_frames(std::string_view frames) : left_(frames) {}

  /// Goes to the next frame; false when there is none.
  bool next();
  /// The name of the event; empty when it has none.
  std::string_view event() const {
    return event_;
  }
  std::string_view data() const {
    return data_;
  }
  /// The whole frame.
  std::string_view frame() const {
    return frame_;
  }

private:
  std::string_view left_;
  std::string_view frame_;
  std::string_view event_;
  std::string_view data_;
};

} // namespace skep::actors
