#include "runtime/cluster/loopback_wire.hpp"

#include "messages/core.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/wire_types.hpp"
#include "runtime/net/zmq_link.hpp"

#include <caf/actor_proxy.hpp>
#include <caf/attachable.hpp>
#include <caf/make_actor.hpp>
#include <caf/system_messages.hpp>

#include <deque>
#include <mutex>
#include <thread>

namespace skep::rt {

namespace {

constexpr const char* self_peer = "self";
constexpr auto settle_deadline = std::chrono::seconds{5};

failure failure_of(std::string_view payload) {
  const auto got = skep::decode<msg::failure_reply>(payload);
  if (!got)
    return got.error();
  return failure{errc_from(got->code).value_or(errc::actor_failed), got->detail,
                 std::chrono::milliseconds{got->retry_after_ms}};
}

envelope_kind kind_of(stream_phase phase) {
  switch (phase) {
    case stream_phase::open: return envelope_kind::open;
    case stream_phase::chunk: return envelope_kind::chunk;
    case stream_phase::end: return envelope_kind::end;
  }
  return envelope_kind::failed;
}

} // namespace

// -- shared state ---------------------------------------------------------------------------------

struct loopback_wire::impl : std::enable_shared_from_this<loopback_wire::impl> {
  impl(environment& e, delivery d) : env(e), how(d) {}

  void send(const envelope& head, std::string_view payload);
  bool try_send(const envelope& head, std::string_view payload, failure& why);
  void on_bytes(std::string_view bytes);
  void dispatch(std::string_view bytes);
  void request_came(const decoded_envelope& got);
  void answer_came(const decoded_envelope& got);
  void deliver(const caf::actor& target, const wire_type& type, const decoded_envelope& got,
               caf::message_id mid, lease_ptr token);
  lease_ptr incoming_call(std::uint64_t correlation, bool forget);
  void forget_outgoing(std::uint64_t correlation);
  std::uint64_t remember_outgoing(const lease_ptr& token);

  environment& env;
  const delivery how;
  wire_types types;
  caf::actor return_proxy; // The "sender" of every call that came over the wire.

  std::mutex mutex; // Guards everything below.
  std::unordered_map<std::uint64_t, caf::actor> targets;
  std::unordered_map<std::uint64_t, caf::actor> wrapped;
  std::unordered_map<std::uint64_t, lease_ptr> outgoing;
  std::unordered_map<std::uint64_t, lease_ptr> incoming;
  std::uint64_t last_correlation = 0;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::deque<std::string> inbox;

  std::unique_ptr<net::zmq_link> link; // Last: its thread ends before the rest goes.
};

namespace {

/// What a wrapped handle is: sends calls out and hears of their cancels and grants.
class wire_proxy final : public caf::actor_proxy {
public:
  wire_proxy(caf::actor_config& config, std::weak_ptr<loopback_wire::impl> wire, caf::actor target)
    : actor_proxy(config), wire_(std::move(wire)), target_(std::move(target)) {}

  const char* name() const override {
    return "wire-proxy";
  }
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override {
    cleanup(std::move(reason), unit);
  }
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;

private:
  bool notice(loopback_wire::impl& wire, const caf::mailbox_element& what);
  void send_call(loopback_wire::impl& wire, caf::mailbox_element& what, const wire_type& type);

  std::weak_ptr<loopback_wire::impl> wire_;
  caf::actor target_;
};

/// Turns the local answers to calls that came over the wire into envelopes.
class wire_return final : public caf::actor_proxy {
public:
  wire_return(caf::actor_config& config, std::weak_ptr<loopback_wire::impl> wire)
    : actor_proxy(config), wire_(std::move(wire)) {}

  const char* name() const override {
    return "wire-return";
  }
  void kill_proxy(caf::execution_unit* unit, caf::error reason) override {
    cleanup(std::move(reason), unit);
  }
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override;

private:
  std::weak_ptr<loopback_wire::impl> wire_;
};

template <class Proxy, class... Ts>
caf::actor make_proxy(environment& env, Ts&&... args) {
  caf::actor_config config;
  auto& system = env.system();
  return caf::actor_cast<caf::actor>(caf::make_actor<Proxy, caf::strong_actor_ptr>(
    system.next_actor_id(), system.node(), &system, config, std::forward<Ts>(args)...));
}

// -- calls going out ------------------------------------------------------------------------------

void wire_proxy::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) {
  auto wire = wire_.lock();
  if (wire && what->mid.is_urgent_message() && notice(*wire, *what))
    return;
  const auto token = ensure_lease(*what);
  const auto* c = call_of(what->content());
  const auto* type = wire && c != nullptr ? wire->types.find(what->content(), 1) : nullptr;
  if (type != nullptr)
    send_call(*wire, *what, *type);
  else if (c == nullptr) // Exit and other control of CAF's own stays in the process.
    target_->enqueue(std::move(what), unit);
  else if (token)
    token->fail(
      failure{errc::unexpected_message, "a message of this type does not cross the wire"});
}

bool wire_proxy::notice(loopback_wire::impl& wire, const caf::mailbox_element& what) {
  const auto& content = what.content();
  envelope head;
  if (content.match_element<cancel_notice>(0)) {
    head.kind = envelope_kind::cancel;
    head.correlation = content.get_as<cancel_notice>(0).key;
    wire.forget_outgoing(head.correlation);
  } else if (content.match_element<credit_notice>(0)) {
    head.kind = envelope_kind::credit;
    head.correlation = content.get_as<credit_notice>(0).key;
    head.credit = content.get_as<credit_notice>(0).bytes;
  } else {
    return false;
  }
  wire.send(head, {});
  return true;
}

void wire_proxy::send_call(loopback_wire::impl& wire, caf::mailbox_element& what,
                           const wire_type& type) {
  const auto& c = *call_of(what.content());
  envelope head;
  head.kind = c.lease ? envelope_kind::request : envelope_kind::send;
  head.target.actor = actor_number{target_->id()};
  head.context = c.context;
  head.tag = type.tag;
  if (c.lease) {
    head.credit = c.lease->window();
    head.correlation = wire.remember_outgoing(c.lease);
    if (!c.lease->hold(caf::strong_actor_ptr{ctrl()}, head.correlation, true)) {
      wire.forget_outgoing(head.correlation);
      return; // Given up before it left.
    }
  }
  std::string payload;
  type.encode(what.content(), 1, payload);
  failure why;
  if (!wire.try_send(head, payload, why)) {
    wire.forget_outgoing(head.correlation);
    if (c.lease)
      c.lease->fail(why);
  }
}

void wire_return::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) {
  auto wire = wire_.lock();
  if (!wire || !what->mid.is_response())
    return;
  const auto& content = what->content();
  envelope head;
  head.correlation = what->mid.request_id().integer_value();
  std::string payload;
  head.kind = envelope_kind::reply;
  std::size_t position = 0;
  if (content.size() == 2 && content.match_element<stream_phase>(0)) {
    head.kind = kind_of(content.get_as<stream_phase>(0));
    position = 1;
  }
  const auto* type = position < content.size() ? wire->types.find(content, position) : nullptr;
  if (type != nullptr) {
    head.tag = type->tag;
    type->encode(content, position, payload);
  } else {
    const auto why
      = content.size() == 1 && content.match_element<caf::error>(0)
          ? from_caf_error(content.get_as<caf::error>(0))
          : failure{errc::unexpected_message, "the answer's type does not cross the wire"};
    head.kind = envelope_kind::failed;
    head.tag = msg::failure_reply::message_tag;
    encode(msg::failure_reply{static_cast<std::uint8_t>(why.code), why.detail,
                              static_cast<std::uint32_t>(why.retry_after.count())},
           payload);
  }
  if (head.kind != envelope_kind::open && head.kind != envelope_kind::chunk)
    wire->incoming_call(head.correlation, true);
  wire->send(head, payload);
}

} // namespace

// -- bytes ----------------------------------------------------------------------------------------

bool loopback_wire::impl::try_send(const envelope& head, std::string_view payload, failure& why) {
  std::string bytes;
  encode_envelope(head, payload, env.now(), bytes);
  {
    std::lock_guard guard{mutex};
    ++sent;
  }
  if (auto done = link->send(self_peer, std::move(bytes)); !done) {
    why = done.error();
    std::lock_guard guard{mutex};
    --sent;
    return false;
  }
  return true;
}

void loopback_wire::impl::send(const envelope& head, std::string_view payload) {
  failure why;
  if (try_send(head, payload, why))
    return;
  log::error("wire: an answer could not be sent: {}", to_string(why));
  // The caller is in this process, too: it hears at once instead of at its deadline.
  lease_ptr token;
  {
    std::lock_guard guard{mutex};
    if (const auto entry = outgoing.find(head.correlation); entry != outgoing.end())
      token = entry->second;
  }
  forget_outgoing(head.correlation);
  if (token)
    token->fail(why);
}

void loopback_wire::impl::on_bytes(std::string_view bytes) {
  if (how == delivery::at_once) {
    dispatch(bytes);
    return;
  }
  std::lock_guard guard{mutex};
  ++received;
  inbox.emplace_back(bytes);
}

void loopback_wire::impl::dispatch(std::string_view bytes) {
  const auto got = decode_envelope(bytes, env.now());
  if (!got) {
    log::warn("wire: refused an envelope: {}", to_string(got.error()));
    return;
  }
  switch (got->head.kind) {
    case envelope_kind::send:
    case envelope_kind::request: request_came(*got); break;
    case envelope_kind::cancel:
      if (auto token = incoming_call(got->head.correlation, true))
        token->cancel();
      break;
    case envelope_kind::credit:
      if (auto token = incoming_call(got->head.correlation, false))
        token->grant(got->head.credit);
      break;
    default: answer_came(*got); break;
  }
}

// -- calls coming in ------------------------------------------------------------------------------

void loopback_wire::impl::request_came(const decoded_envelope& got) {
  const auto& head = got.head;
  caf::actor target;
  lease_ptr token;
  caf::message_id mid;
  {
    std::lock_guard guard{mutex};
    if (auto entry = targets.find(head.target.actor.value()); entry != targets.end())
      target = entry->second;
  }
  if (head.kind == envelope_kind::request) {
    mid = caf::make_message_id(head.correlation);
    token = caf::make_counted<lease>(caf::actor_cast<caf::strong_actor_ptr>(return_proxy), mid,
                                     head.credit);
    std::lock_guard guard{mutex};
    incoming.emplace(head.correlation, token);
  }
  const auto* type = types.find(head.tag);
  if (target && type != nullptr)
    deliver(target, *type, got, mid, token);
  else if (token)
    token->fail(failure{target ? errc::unexpected_message : errc::not_found,
                        target ? "no message has this tag" : "no actor has this number"});
}

void loopback_wire::impl::deliver(const caf::actor& target, const wire_type& type,
                                  const decoded_envelope& got, caf::message_id mid,
                                  lease_ptr token) {
  auto element = type.make_call(caf::actor_cast<caf::strong_actor_ptr>(return_proxy), mid,
                                call{got.head.context, token, 0}, got.payload);
  if (element)
    target->enqueue(std::move(*element), nullptr);
  else if (token)
    token->fail(element.error());
}

void loopback_wire::impl::answer_came(const decoded_envelope& got) {
  const bool last = got.head.kind != envelope_kind::open && got.head.kind != envelope_kind::chunk;
  lease_ptr token;
  {
    std::lock_guard guard{mutex};
    const auto entry = outgoing.find(got.head.correlation);
    if (entry == outgoing.end())
      return; // Given up meanwhile.
    token = entry->second;
    if (last)
      outgoing.erase(entry);
  }
  if (got.head.kind == envelope_kind::failed) {
    token->fail(failure_of(got.payload));
    return;
  }
  const auto* type = types.find(got.head.tag);
  const auto done = type != nullptr
                      ? type->answer(*token, got.head.kind, got.payload)
                      : expected<bool>{fail(errc::malformed, "an answer of unknown type")};
  if (!done)
    token->fail(done.error());
}

lease_ptr loopback_wire::impl::incoming_call(std::uint64_t correlation, bool forget) {
  std::lock_guard guard{mutex};
  const auto entry = incoming.find(correlation);
  if (entry == incoming.end())
    return nullptr;
  auto token = entry->second;
  if (forget)
    incoming.erase(entry);
  return token;
}

std::uint64_t loopback_wire::impl::remember_outgoing(const lease_ptr& token) {
  std::lock_guard guard{mutex};
  outgoing.emplace(++last_correlation, token);
  return last_correlation;
}

void loopback_wire::impl::forget_outgoing(std::uint64_t correlation) {
  lease_ptr gone;
  std::lock_guard guard{mutex};
  if (auto entry = outgoing.find(correlation); entry != outgoing.end()) {
    gone = std::move(entry->second);
    outgoing.erase(entry);
  }
}

// -- the wire -------------------------------------------------------------------------------------

expected<std::shared_ptr<loopback_wire>> loopback_wire::start(environment& env, delivery how) {
  auto state = std::make_shared<impl>(env, how);
  net::link_config config;
  config.node_name = self_peer;
  std::weak_ptr<impl> weak = state;
  auto link = net::zmq_link::start(config, [weak](std::string_view, std::string_view bytes) {
    if (auto alive = weak.lock())
      alive->on_bytes(bytes);
  });
  if (!link)
    return fail(link.error());
  state->link = std::move(*link);
  if (auto done = state->link->connect(self_peer, state->link->endpoint()); !done)
    return fail(done.error());
  state->return_proxy = make_proxy<wire_return>(env, weak);
  return std::shared_ptr<loopback_wire>{new loopback_wire{std::move(state)}};
}

loopback_wire::loopback_wire(std::shared_ptr<impl> state) : impl_(std::move(state)) {}

loopback_wire::~loopback_wire() {
  impl_->link.reset();
}

wire_types& loopback_wire::types() {
  return impl_->types;
}

caf::actor loopback_wire::wrap(const caf::actor& target) {
  std::lock_guard guard{impl_->mutex};
  auto& proxy = impl_->wrapped[target->id()];
  if (!proxy) {
    proxy = make_proxy<wire_proxy>(impl_->env, std::weak_ptr<impl>{impl_}, target);
    impl_->targets.emplace(target->id(), target);
    // Monitors of the proxy hear of the target's end.
    auto* raw = static_cast<wire_proxy*>(caf::actor_cast<caf::abstract_actor*>(proxy));
    target->attach_functor(
      [keep = caf::actor_cast<caf::weak_actor_ptr>(proxy), raw](const caf::error& why) {
        if (auto alive = keep.lock())
          raw->kill_proxy(nullptr, why);
      });
  }
  return proxy;
}

bool loopback_wire::settle() {
  const auto give_up = std::chrono::steady_clock::now() + settle_deadline;
  std::deque<std::string> arrived;
  for (;;) {
    {
      std::lock_guard guard{impl_->mutex};
      if (impl_->received == impl_->sent || std::chrono::steady_clock::now() > give_up) {
        arrived.swap(impl_->inbox);
        break;
      }
    }
    std::this_thread::yield();
  }
  for (const auto& bytes : arrived)
    impl_->dispatch(bytes);
  return !arrived.empty();
}

} // namespace skep::rt
