#pragma once

#include "messages/context.hpp"
#include "messages/size.hpp"
#include "runtime/actor/lease.hpp"
#include "runtime/base/inspect.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <utility>

namespace skep::rt {

/// Stands before the payload of every data message: `(const call&, const Payload&)`. Only the call
/// is read by admission, expiry, tracing and codec.
struct call {
  skep::context context;
  /// Null when nobody waits for an answer.
  lease_ptr lease;
  /// What the message costs its mailbox, about the bytes of the payload.
  std::size_t bytes = 0;

  call() = default;
  call(skep::context c, lease_ptr l, std::size_t b)
    : context(std::move(c)), lease(std::move(l)), bytes(b) {}
};

/// The call of a data message, or null when the element is something else.
inline const call* call_of(const caf::type_erased_tuple& content) {
  return content.size() == 2 && content.match_element<call>(0) ? &content.get_as<call>(0) : nullptr;
}

/// Gives a request that came without a lease (from plain CAF code) one; null when nobody waits.
lease_ptr ensure_lease(caf::mailbox_element& what);

} // namespace skep::rt

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::stream_phase)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::cancel_notice)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::credit_notice)
