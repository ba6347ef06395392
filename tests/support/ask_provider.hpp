#pragma once

#include "messages/chat.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/node/node.hpp"

#include <caf/scoped_actor.hpp>

#include <chrono>
#include <string>

namespace skep::test {

/// Asks a provider of the node for a whole answer, from outside of the actors.
inline expected<msg::chat_reply> ask_provider(rt::node& node, const std::string& name) {
  caf::scoped_actor client{node.env().system()};
  skep::context context;
  context.deadline = clock::now() + std::chrono::seconds{10};
  msg::chat_request request;
  request.model = "m";
  request.messages = {{"user", "hi", {}}};
  expected<msg::chat_reply> got;
  client
    ->request(node.env().find(name), std::chrono::seconds{10}, rt::call{context, nullptr, 1},
              request)
    .receive([&](const msg::chat_reply& reply) { got = reply; },
             [&](const caf::error& e) { got = fail(from_caf_error(e)); });
  return got;
}

} // namespace skep::test
