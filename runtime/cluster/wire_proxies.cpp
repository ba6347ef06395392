#include "runtime/cluster/wire_proxies.hpp"

#include "runtime/base/caf_error.hpp"

#include <caf/system_messages.hpp>

namespace skep::rt {

const char* wire_relay::name() const {
  return "wire-relay";
}

void wire_relay::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  if (auto wire = port())
    wire->notice(*what);
}

const char* wire_return::name() const {
  return "wire-return";
}

void wire_return::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  auto wire = port();
  const auto session = session_.lock();
  if (wire && session && session->is_open() && what->mid.is_response())
    wire->give_back(session, *what);
}

const char* remote_actor::name() const {
  return "remote-actor";
}

void remote_actor::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  auto wire = port();
  const auto& content = what->content();
  if (wire && call_of(content) != nullptr) {
    wire->call_out(session_, target_, std::move(what));
  } else if (const auto token = ensure_lease(*what)) {
    token->fail(failure{errc::shutting_down, "this node has left the cluster"});
  } else if (wire && content.size() == 1 && content.match_element<caf::exit_msg>(0)) {
    // From an actor linked to this one.
    wire->send_exit(session_, target_, from_caf_error(content.get_as<caf::exit_msg>(0).reason));
  } else if (what->mid.is_request() && what->sender) {
    what->sender->enqueue(
      caf::make_mailbox_element(
        nullptr, what->mid.response_id(), {},
        to_caf_error(failure{errc::unexpected_message, "only messages of skep cross the wire"})),
      nullptr);
  }
}

void end_proxy(const caf::actor& proxy, const caf::error& why) {
  static_cast<wire_proxy*>(caf::actor_cast<caf::abstract_actor*>(proxy))->kill_proxy(nullptr, why);
}

} // namespace skep::rt
