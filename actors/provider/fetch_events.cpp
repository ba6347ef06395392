#include "actors/provider/fetch_events.hpp"

#include "actors/provider/outcome.hpp"

#include <caf/abstract_actor.hpp>
#include <caf/mailbox_element.hpp>

#include <utility>

namespace skep::actors {

namespace {

class poster final : public net::fetch_handler {
public:
  poster(caf::strong_actor_ptr to, std::uint64_t job, std::uint32_t epoch)
    : to_(std::move(to)), job_(job), epoch_(epoch) {}

  void on_headers(int status, const net::fetch_headers& headers) noexcept override {
    auto event = make(fetch_event::kind::headers);
    event.retry_after = retry_after_of(status, headers, std::chrono::system_clock::now());
    event.limits = limits_of(headers);
    post(std::move(event));
  }
  void on_data(std::string_view bytes) noexcept override {
    auto event = make(fetch_event::kind::data);
    event.data = bytes;
    post(std::move(event));
  }
  void on_done(net::fetch_result result) noexcept override {
    auto event = make(fetch_event::kind::done);
    event.result = std::move(result);
    post(std::move(event));
  }

private:
  fetch_event make(fetch_event::kind what) const {
    fetch_event event;
    event.job = job_;
    event.epoch = epoch_;
    event.what = what;
    return event;
  }
  void post(fetch_event event) {
    const auto urgent = caf::make_message_id(caf::message_priority::high);
    to_->enqueue(caf::make_mailbox_element(nullptr, urgent, {}, std::move(event)), nullptr);
  }

  const caf::strong_actor_ptr to_;
  const std::uint64_t job_;
  const std::uint32_t epoch_;
};

} // namespace

std::shared_ptr<net::fetch_handler> post_events_to(caf::strong_actor_ptr to, std::uint64_t job,
                                                   std::uint32_t epoch) {
  return std::make_shared<poster>(std::move(to), job, epoch);
}

} // namespace skep::actors
