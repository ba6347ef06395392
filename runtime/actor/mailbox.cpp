#include "runtime/actor/mailbox.hpp"

#include "runtime/actor/call.hpp"
#include "runtime/actor/metric_names.hpp"

#include <mutex>

namespace skep::rt {

namespace {

// A message without a call (an event of a few words) counts as this much.
constexpr std::size_t plain_message_bytes = 64;

telemetry::counter& count(telemetry::registry& registry, const std::string& kind, const char* name,
                          const char* help) {
  return registry.counter(name, help, {{"actor", kind}});
}

} // namespace

mailbox_metrics::mailbox_metrics(telemetry::registry& r, const std::string& kind)
  : accepted(count(r, kind, "skep_mailbox_accepted_total", "Data messages admitted.")),
    processed(count(r, kind, "skep_mailbox_processed_total", "Data messages handled.")),
    failed(count(r, kind, "skep_mailbox_failed_total", "Data messages whose handler threw.")),
    expired(count(r, kind, "skep_mailbox_expired_total",
                  "Data messages dropped because their deadline passed in the queue.")),
    cancelled(count(r, kind, "skep_mailbox_cancelled_total",
                    "Data messages dropped because the caller had gone.")),
    dead_lettered(count(r, kind, "skep_mailbox_dead_lettered_total",
                        "Data messages an ending or full actor answered without work.")),
    refused(count(r, kind, "skep_mailbox_refused_total", "Data messages a full mailbox refused.")),
    depth(r.gauge_callback(metric::mailbox_depth.name, metric::mailbox_depth.help,
                           {{metric::mailbox_depth.label, kind}},
                           [this] { return static_cast<double>(waiting()); })) {}

std::int64_t mailbox_metrics::waiting() const {
  // The ends first: what is accepted meanwhile can only add to the difference.
  const auto ended = processed.value() + failed.value() + expired.value() + cancelled.value()
                     + dead_lettered.value();
  return static_cast<std::int64_t>(accepted.value() - ended);
}

actor_kind::actor_kind(telemetry::registry& registry, std::string kind_name,
                       mailbox_bounds kind_bounds)
  : name(std::move(kind_name)), bounds(kind_bounds), metrics(registry, name) {}

data_lane::~data_lane() {
  while (head_ != nullptr)
    take_front();
}

std::size_t data_lane::cost_of(const caf::mailbox_element& what) {
  const auto* c = call_of(what.content());
  return c != nullptr ? c->bytes : plain_message_bytes;
}

data_lane::result data_lane::push(caf::mailbox_element_ptr& what, std::size_t bytes,
                                  const mailbox_bounds& bounds,
                                  std::vector<caf::mailbox_element_ptr>& dropped) {
  std::lock_guard guard{lock_};
  if (closed_)
    return result::closed;
  if (bytes > bounds.bytes_max)
    return result::too_large;
  if (bounds.messages_max == 0)
    return result::refused;
  const auto full
    = [&] { return depth() >= bounds.messages_max || bytes_ + bytes > bounds.bytes_max; };
  while (full()) {
    if (bounds.policy != overload_policy::drop_oldest)
      return result::refused;
    dropped.push_back(take_front());
  }
  auto* element = what.release();
  element->next = nullptr;
  if (tail_ != nullptr)
    tail_->next = element;
  else
    head_ = element;
  tail_ = element;
  bytes_ += bytes;
  depth_.store(depth() + 1, std::memory_order_relaxed);
  if (consumer_awake_)
    return result::accepted;
  consumer_awake_ = true;
  return result::accepted_wake;
}

caf::mailbox_element_ptr data_lane::pop() {
  std::lock_guard guard{lock_};
  if (head_ == nullptr) {
    consumer_awake_ = false;
    return nullptr;
  }
  return take_front();
}

std::vector<caf::mailbox_element_ptr> data_lane::close() {
  std::lock_guard guard{lock_};
  closed_ = true;
  std::vector<caf::mailbox_element_ptr> rest;
  while (head_ != nullptr)
    rest.push_back(take_front());
  return rest;
}

caf::mailbox_element_ptr data_lane::take_front() {
  auto* element = head_;
  head_ = static_cast<caf::mailbox_element*>(element->next);
  if (head_ == nullptr)
    tail_ = nullptr;
  element->next = nullptr;
  bytes_ -= cost_of(*element);
  depth_.store(depth() - 1, std::memory_order_relaxed);
  return caf::mailbox_element_ptr{element};
}

} // namespace skep::rt
