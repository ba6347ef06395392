#pragma once

#include "runtime/net/http_message.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace skep::rt {

/// Who may ask for an endpoint.
enum class access : std::uint8_t {
  /// Anybody: the probes of an orchestrator.
  open,
  /// Whoever has a key, when there are any.
  client,
  /// Whoever may operate the node: a key with the role admin, when there are any keys.
  admin,
};

/// An HTTP endpoint that a role serves (role_context::serve).
struct http_endpoint {
  /// "/v1/tickets"; one that ends with a slash stands for every path below it.
  std::string path;
  /// As an `allow` header has them: "POST", "GET, HEAD".
  std::string methods;
  access who = access::client;
  /// Gets an http_call and answers with an http_answer, or with a failure, which becomes an error
  /// in OpenAI's form. The address that role_context::supervise() gave.
  caf::actor served_by;
};

/// A request for an http_endpoint; in-process only. Who asks, and until when, is in the call.
struct http_call {
  std::shared_ptr<const net::http_request> request;
};

/// The whole answer to a request; in-process only.
struct http_answer {
  net::http_response response;
};

} // namespace skep::rt

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::http_call)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::rt::http_answer)
