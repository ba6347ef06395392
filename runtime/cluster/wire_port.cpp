#include "runtime/cluster/wire_port.hpp"

#include "messages/codec.hpp"
#include "messages/core.hpp"
#include "runtime/base/caf_error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/cluster/wire_codec.hpp"
#include "runtime/cluster/wire_proxies.hpp"

#include <caf/send.hpp>

namespace skep::rt {

namespace {

// CAF keeps the upper bits of a message id for itself.
constexpr std::uint64_t correlation_end = std::uint64_t{1} << 60;
// Calls one peer may have at work here; beyond them it is told to slow down.
constexpr std::size_t incoming_max = 1u << 20;
constexpr std::chrono::milliseconds retry_after{100};

envelope_kind kind_of(stream_phase phase) {
  switch (phase) {
    case stream_phase::open: return envelope_kind::open;
    case stream_phase::chunk: return envelope_kind::chunk;
    case stream_phase::end: return envelope_kind::end;
  }
  return envelope_kind::failed;
}

/// The member could not take the call; another one may.
bool another_may_take_it(errc code) {
  return code == errc::node_down || code == errc::unavailable || code == errc::shutting_down
         || code == errc::overloaded || code == errc::not_found;
}

// A thread's buffer for payloads keeps at most this much between messages.
constexpr std::size_t scratch_kept_max = std::size_t{1} << 20;

/// An empty buffer of this thread's, valid until its next use.
std::string& scratch() {
  thread_local std::string buffer;
  if (buffer.capacity() > scratch_kept_max)
    buffer = {};
  buffer.clear();
  return buffer;
}

} // namespace

std::shared_ptr<wire_port> wire_port::make(environment& env, const wire_types& types,
                                           incarnation self) {
  auto made = std::make_shared<wire_port>(env, types, self);
  made->relay_ = make_proxy<wire_relay>(env, std::weak_ptr<wire_port>{made});
  return made;
}

wire_port::wire_port(environment& env, const wire_types& types, incarnation self)
  : env_(env), types_(types), self_(self) {}

wire_port::~wire_port() = default;

// -- sessions -------------------------------------------------------------------------------------

wire_session_ptr wire_port::open(std::string node, incarnation life,
                                 std::shared_ptr<net::link_outbox> outbox) {
  auto session = std::make_shared<wire_session>(std::move(node), life, std::move(outbox));
  session->way_back_ = make_proxy<wire_return>(env_, weak_from_this(), session);
  return session;
}

void wire_port::close(const wire_session_ptr& session, const failure& why) {
  if (!session->open_.exchange(false))
    return;
  session->outbox_->close();
  const failure lost{errc::node_down, "node " + session->node() + " is lost: " + why.detail,
                     retry_after};
  decltype(session->incoming_) callers;
  decltype(session->handles_) handles;
  caf::actor way_back;
  {
    std::lock_guard guard{session->mutex_};
    callers.swap(session->incoming_);
    handles.swap(session->handles_);
    session->watched_.clear();
    session->last_target_ = nullptr;
    way_back.swap(session->way_back_);
  }
  std::vector<outgoing> calls;
  {
    std::lock_guard guard{mutex_};
    for (auto entry = outgoing_.begin(); entry != outgoing_.end();) {
      if (entry->second.session == session) {
        calls.push_back(std::move(entry->second));
        entry = outgoing_.erase(entry);
      } else {
        ++entry;
      }
    }
  }
  incoming_open_.fetch_sub(callers.size(), std::memory_order_relaxed);
  for (auto& [correlation, token] : callers)
    token->cancel();
  for (auto& each : calls)
    lose(std::move(each), lost);
  for (auto& [name, each] : handles)
    end_proxy(each, to_caf_error(lost));
}

void wire_port::message_came(const wire_session_ptr& session, std::string_view bytes) {
  auto got = decode_envelope(bytes, env_.now());
  if (!got)
    return count_malformed(*session, got.error());
  const auto& head = got->head;
  if (head.correlation >= correlation_end)
    return count_malformed(*session, failure{errc::malformed, "a correlation above 2^60"});
  switch (head.kind) {
    case envelope_kind::send:
    case envelope_kind::request: return request_came(session, std::move(*got));
    case envelope_kind::cancel:
      if (auto token = incoming(*session, head.correlation, true))
        token->cancel();
      return;
    case envelope_kind::credit:
      if (auto token = incoming(*session, head.correlation, false))
        token->grant(std::min<std::uint64_t>(head.credit, std::uint64_t{1} << 40));
      return;
    case envelope_kind::watch: return watch_came(session, *got);
    case envelope_kind::down: return down_came(*session, *got);
    case envelope_kind::exit: return exit_came(*got);
    case envelope_kind::reply:
    case envelope_kind::open:
    case envelope_kind::chunk:
    case envelope_kind::end:
    case envelope_kind::failed: return answer_came(session, *got);
  }
}

void wire_port::count_malformed(const wire_session& from, const failure& why) {
  // One line per thousand, so that a peer cannot fill the disk.
  if (malformed_.fetch_add(1, std::memory_order_relaxed) % 1000 == 0)
    log::warn("cluster: refused a message of {}: {}", from.node(), to_string(why));
}

expected<void> wire_port::push(wire_session& to, const envelope& head, std::string_view payload,
                               net::link_outbox::lane which) {
  thread_local std::string front;
  front.clear();
  encode_envelope_front(head, payload.size(), env_.now(), front);
  auto done = to.outbox_->push(front, payload, which);
  if (done)
    messages_out_.fetch_add(1, std::memory_order_relaxed);
  return done;
}

/// Answers, credits and cancels: what they belong to was admitted, so they may use the reserve. If
/// even that is full, the peer has stopped reading; its session ends by its silence.
void wire_port::push_answer(wire_session& to, const envelope& head, std::string_view payload) {
  if (auto done = push(to, head, payload, net::link_outbox::lane::reserve); !done)
    if (to.is_open())
      log::error("cluster: an answer to {} is lost: {}", to.node(), to_string(done.error()));
}

void wire_port::tell_node(wire_session& to, std::uint32_t tag, std::string_view payload) {
  envelope head;
  head.kind = envelope_kind::send;
  head.source.incarnation = self_;
  head.target_name = "cluster";
  head.tag = tag;
  push_answer(to, head, payload);
}

// -- calls going out ------------------------------------------------------------------------------

caf::actor wire_port::handle(const wire_session_ptr& session, const wire_target& target) {
  const auto key = target.name.empty() ? "#" + std::to_string(target.number.value()) : target.name;
  auto head = head_to(envelope_kind::watch, self_, session->life_, target);
  caf::actor made;
  {
    std::lock_guard guard{session->mutex_};
    if (auto known = session->handles_.find(key); known != session->handles_.end())
      return known->second;
    made = make_proxy<remote_actor>(env_, weak_from_this(), session, target);
    if (session->is_open()) {
      session->handles_.emplace(key, made);
      head.correlation = ++session->last_watch_;
      session->watched_.emplace(head.correlation, caf::actor_cast<caf::weak_actor_ptr>(made));
    }
  }
  if (head.correlation == 0) {
    end_proxy(made, to_caf_error(failure{errc::node_down, "node " + session->node() + " is lost"}));
    return made;
  }
  push_answer(*session, head, {});
  return made;
}

void wire_port::call_out(const wire_session_ptr& to, const wire_target& target,
                         caf::mailbox_element_ptr what, hop_ref chosen_by) {
  const auto token = ensure_lease(*what);
  const auto* c = call_of(what->content());
  const auto* type = c != nullptr ? types_.find(what->content(), 1) : nullptr;
  if (type == nullptr) {
    outgoing none{token, to, std::move(chosen_by), {}, true};
    return lose(std::move(none), failure{errc::unexpected_message,
                                         "a message of this type does not cross the wire"});
  }
  calls_out_.fetch_add(1, std::memory_order_relaxed);
  auto head
    = head_to(token ? envelope_kind::request : envelope_kind::send, self_, to->life_, target);
  head.context = c->context;
  head.tag = type->tag;
  auto& payload = scratch();
  type->encode(what->content(), 1, payload);
  outgoing entry{token, to, std::move(chosen_by), {}, false};
  if (!token) {
    if (auto done = push(*to, head, payload, net::link_outbox::lane::normal); !done)
      log::debug("cluster: a message to {} was dropped: {}", to->node(), to_string(done.error()));
    return lose(std::move(entry), failure{});
  }
  head.credit = token->window();
  if (entry.chosen_by.who != nullptr && c->context.replayable())
    entry.content = what->move_content_to_message();
  head.correlation = remember(std::move(entry));
  const bool held
    = token->hold(caf::actor_cast<caf::strong_actor_ptr>(relay_), head.correlation, true);
  const auto done = held ? push(*to, head, payload, net::link_outbox::lane::normal)
                         : expected<void>{fail(errc::cancelled)};
  if (done)
    return;
  if (outgoing mine; extract(head.correlation, mine))
    lose(std::move(mine), done.error());
}

std::uint64_t wire_port::remember(outgoing entry) {
  std::lock_guard guard{mutex_};
  outgoing_.emplace(++last_key_, std::move(entry));
  return last_key_;
}

bool wire_port::extract(std::uint64_t key, outgoing& entry) {
  std::lock_guard guard{mutex_};
  const auto found = outgoing_.find(key);
  if (found == outgoing_.end())
    return false;
  entry = std::move(found->second);
  outgoing_.erase(found);
  return true;
}

/// The call is over here; whether it runs again elsewhere is the hop's business.
void wire_port::lose(outgoing entry, const failure& why) {
  auto& by = entry.chosen_by;
  if (by.who != nullptr)
    by.who->ended(by.token);
  if (!entry.token || entry.token->is_settled())
    return;
  const bool again
    = by.who != nullptr && !entry.begun && !entry.content.empty() && another_may_take_it(why.code);
  if (!again) {
    if (why.code == errc::node_down)
      lost_.fetch_add(1, std::memory_order_relaxed);
    entry.token->fail(why);
    return;
  }
  run_again_.fetch_add(1, std::memory_order_relaxed);
  by.tried.push_back(static_cast<std::uint32_t>(by.token));
  auto what = caf::make_mailbox_element(entry.token->caller(), entry.token->request_id(), {},
                                        std::move(entry.content));
  by.who->again(std::move(what), std::move(by.tried), why);
}

/// A cancel or a grant for a call that left.
void wire_port::notice(const caf::mailbox_element& what) {
  const auto& content = what.content();
  envelope head;
  head.source.incarnation = self_;
  outgoing gone;
  wire_session_ptr to;
  if (content.match_element<cancel_notice>(0)) {
    head.kind = envelope_kind::cancel;
    head.correlation = content.get_as<cancel_notice>(0).key;
    if (!extract(head.correlation, gone))
      return;
    to = gone.session;
    if (gone.chosen_by.who != nullptr)
      gone.chosen_by.who->ended(gone.chosen_by.token);
  } else if (content.match_element<credit_notice>(0)) {
    head.kind = envelope_kind::credit;
    head.correlation = content.get_as<credit_notice>(0).key;
    head.credit = content.get_as<credit_notice>(0).bytes;
    std::lock_guard guard{mutex_};
    if (const auto entry = outgoing_.find(head.correlation); entry != outgoing_.end())
      to = entry->second.session;
  }
  if (to)
    push_answer(*to, head, {});
}

void wire_port::send_exit(const wire_session_ptr& to, const wire_target& target,
                          const failure& why) {
  auto head = head_to(envelope_kind::exit, self_, to->life_, target);
  head.tag = msg::failure_reply::message_tag;
  push_answer(*to, head, encoded(why));
}

void wire_port::answer_came(const wire_session_ptr& from, const decoded_envelope& got) {
  const auto& head = got.head;
  const bool last = head.kind != envelope_kind::open && head.kind != envelope_kind::chunk;
  outgoing entry;
  {
    std::lock_guard guard{mutex_};
    const auto found = outgoing_.find(head.correlation);
    if (found == outgoing_.end() || found->second.session != from)
      return; // Given up meanwhile, or not its to answer.
    if (last) {
      entry = std::move(found->second);
      outgoing_.erase(found);
    } else {
      found->second.begun = true;
      found->second.content = caf::message{};
      entry.token = found->second.token;
    }
  }
  if (head.kind == envelope_kind::failed)
    return lose(std::move(entry), failure_of(got.payload));
  if (last && entry.chosen_by.who != nullptr)
    entry.chosen_by.who->ended(entry.chosen_by.token);
  const auto* type = types_.find(head.tag);
  const auto done = type != nullptr
                      ? type->answer(*entry.token, head.kind, got.payload)
                      : expected<bool>{fail(errc::malformed, "an answer of unknown type")};
  if (!done) {
    count_malformed(*from, done.error());
    entry.token->fail(done.error());
  }
}

// -- calls coming in ------------------------------------------------------------------------------

void wire_port::publish(const caf::actor& who) {
  std::lock_guard guard{mutex_};
  published_.emplace(who->id(), who);
}

caf::actor wire_port::find_target(const envelope& head) const {
  if (!head.target_name.empty())
    return env_.reach(env_.directory().find(head.target_name));
  std::lock_guard guard{mutex_};
  const auto entry = published_.find(head.target.actor.value());
  return entry != published_.end() ? entry->second : caf::actor{};
}

/// The same as find_target, with the last name of the session kept: calls come in rows.
const caf::actor& wire_port::target_of(wire_session& from, const envelope& head) {
  const auto changes = env_.directory().changes();
  const bool known = from.last_target_ && head.target_name == from.last_name_
                     && !head.target_name.empty() && from.last_changes_ == changes;
  if (!known) {
    from.last_target_ = find_target(head);
    from.last_name_ = head.target_name;
    from.last_changes_ = changes;
  }
  return from.last_target_;
}

void wire_port::request_came(const wire_session_ptr& from, decoded_envelope got) {
  auto& head = got.head;
  calls_in_.fetch_add(1, std::memory_order_relaxed);
  if (head.kind == envelope_kind::send && head.target_name == "cluster") {
    if (system_)
      system_(*from, head.tag, got.payload);
    return;
  }
  lease_ptr token;
  caf::message_id mid = caf::make_message_id();
  caf::strong_actor_ptr caller;
  bool full = false;
  if (head.kind == envelope_kind::request) {
    mid = caf::make_message_id(head.correlation);
    std::lock_guard guard{from->mutex_};
    if (!from->way_back_)
      return; // The session has just ended.
    caller = caf::actor_cast<caf::strong_actor_ptr>(from->way_back_);
    token = caf::make_counted<lease>(caller, mid, head.credit);
    full = from->incoming_.size() >= incoming_max;
    if (!full && !from->incoming_.emplace(head.correlation, token).second)
      token->cancel(); // A correlation in use: nobody could tell the answers apart.
    else if (!full)
      incoming_open_.fetch_add(1, std::memory_order_relaxed);
  }
  if (token && token->is_settled())
    return count_malformed(*from, failure{errc::malformed, "a correlation that is in use"});
  if (token && full) {
    token->fail(failure{errc::overloaded, "too many calls of one node are at work", retry_after});
    return;
  }
  const auto target = target_of(*from, head);
  const auto* type = types_.find(head.tag);
  auto element
    = type != nullptr && target
        ? type->make_call(caller, mid, call{std::move(head.context), token, 0}, got.payload)
        : expected<caf::mailbox_element_ptr>{
          target ? fail(errc::unexpected_message, "no message has this tag")
                 : fail(errc::not_found, "nobody is called " + head.target_name)};
  if (element)
    target->enqueue(std::move(*element), nullptr);
  else if (token)
    token->fail(element.error());
}

lease_ptr wire_port::incoming(wire_session& from, std::uint64_t correlation, bool forget) {
  std::lock_guard guard{from.mutex_};
  const auto entry = from.incoming_.find(correlation);
  if (entry == from.incoming_.end())
    return nullptr;
  auto token = entry->second;
  if (forget) {
    from.incoming_.erase(entry);
    incoming_open_.fetch_sub(1, std::memory_order_relaxed);
  }
  return token;
}

/// A local answer on its way to the caller at the other node.
void wire_port::give_back(const wire_session_ptr& session, const caf::mailbox_element& what) {
  const auto& content = what.content();
  envelope head;
  head.source.incarnation = self_;
  head.correlation = what.mid.request_id().integer_value();
  head.kind = envelope_kind::reply;
  std::size_t position = 0;
  if (content.size() == 2 && content.match_element<stream_phase>(0)) {
    head.kind = kind_of(content.get_as<stream_phase>(0));
    position = 1;
  }
  auto& payload = scratch();
  const auto* type = position < content.size() ? types_.find(content, position) : nullptr;
  if (type != nullptr) {
    head.tag = type->tag;
    type->encode(content, position, payload);
  } else {
    const bool failed = content.size() == 1 && content.match_element<caf::error>(0);
    head.kind = envelope_kind::failed;
    head.tag = msg::failure_reply::message_tag;
    payload = encoded(
      failed ? from_caf_error(content.get_as<caf::error>(0))
             : failure{errc::unexpected_message, "the answer's type does not cross the wire"});
  }
  if (head.kind != envelope_kind::open && head.kind != envelope_kind::chunk)
    incoming(*session, head.correlation, true);
  push_answer(*session, head, payload);
}

wire_stats wire_port::stats() const {
  wire_stats s;
  s.messages_out = messages_out_;
  s.calls_out = calls_out_;
  s.calls_in = calls_in_;
  s.incoming_open = incoming_open_;
  s.lost = lost_;
  s.run_again = run_again_;
  s.malformed = malformed_;
  std::lock_guard guard{mutex_};
  s.outgoing_open = outgoing_.size();
  return s;
}

} // namespace skep::rt
