#include "runtime/base/caf_error.hpp"
#include "runtime/cluster/wire_codec.hpp"
#include "runtime/cluster/wire_port.hpp"
#include "runtime/cluster/wire_proxies.hpp"

#include <caf/send.hpp>
#include <caf/system_messages.hpp>

namespace skep::rt {

namespace {

// Actors one session may watch.
constexpr std::size_t watches_max = 65'536;

} // namespace

void wire_port::watch_came(const wire_session_ptr& from, const decoded_envelope& got) {
  const auto target = find_target(got.head);
  bool first = false;
  bool full = false;
  if (target) {
    std::lock_guard guard{mutex_};
    auto& known = watchers_[target->id()];
    first = known.empty();
    std::erase_if(known, [](const watcher& each) { return each.session.expired(); });
    full = known.size() >= watches_max;
    if (!full)
      known.push_back({from, got.head.correlation});
  }
  if (!target || full) {
    return push_answer(
      *from, failure_head(envelope_kind::down, self_, got.head.correlation),
      encoded(full ? failure{errc::overloaded, "too many watchers"}
                   : failure{errc::not_found, "nobody is called " + got.head.target_name}));
  }
  if (first)
    target->attach_functor([weak = weak_from_this(), id = target->id()](const caf::error& why) {
      if (auto port = weak.lock())
        port->target_ended(id, why);
    });
}

void wire_port::target_ended(std::uint64_t id, const caf::error& why) {
  std::vector<watcher> told;
  {
    std::lock_guard guard{mutex_};
    if (auto entry = watchers_.find(id); entry != watchers_.end()) {
      told.swap(entry->second);
      watchers_.erase(entry);
    }
  }
  const auto payload = encoded(from_caf_error(why));
  for (const auto& each : told) {
    const auto session = each.session.lock();
    if (!session || !session->is_open())
      continue;
    push_answer(*session, failure_head(envelope_kind::down, self_, each.key), payload);
  }
}

void wire_port::down_came(wire_session& from, const decoded_envelope& got) {
  caf::actor ended;
  {
    std::lock_guard guard{from.mutex_};
    const auto entry = from.watched_.find(got.head.correlation);
    if (entry == from.watched_.end())
      return;
    ended = caf::actor_cast<caf::actor>(entry->second.lock());
    from.watched_.erase(entry);
    std::erase_if(from.handles_, [&](const auto& each) { return each.second == ended; });
  }
  if (ended)
    end_proxy(ended, to_caf_error(failure_of(got.payload)));
}

void wire_port::exit_came(const decoded_envelope& got) {
  if (const auto target = find_target(got.head))
    caf::anon_send(target, caf::exit_msg{target.address(), to_caf_error(failure_of(got.payload))});
}

} // namespace skep::rt
