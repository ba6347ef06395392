#pragma once

// tidy: allow size, one fixture of several tests

#include "actors/provider/http_connector.hpp"
#include "runtime/actor/guard.hpp"
#include "tests/support/real_system.hpp"
#include "tests/support/tiny_upstream.hpp"

#include <atomic>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>

namespace skep::actors::testing {

/// What one call brought: written on the asker's thread, read on the test's.
class call_record {
public:
  void add(const rt::answer& got);

  /// The kinds of answers in their order, "open chunk end"; runs of chunks count as one.
  std::string story() const;
  /// The text of all chunks, or of the whole answer.
  std::string text() const;
  /// What the chunks' deltas had besides, one after the other.
  std::string deltas() const;
  bool complete() const;
  failure why() const;
  msg::token_usage usage() const;
  /// As the beginning of a stream, or a whole answer, says it.
  std::uint32_t attempts() const;
  msg::models_reply models() const;
  msg::embed_reply vectors() const;
  /// What the chunks cost in credit.
  std::uint64_t cost() const;

private:
  friend class asker;
  mutable std::mutex lock_; // Guards everything below.
  std::string story_;
  std::string text_;
  std::string deltas_;
  bool complete_ = false;
  failure why_;
  msg::token_usage usage_;
  std::uint32_t attempts_ = 0;
  msg::models_reply models_;
  msg::embed_reply vectors_;
  std::uint64_t cost_ = 0;
  rt::request_key key_ = 0;
};
using record_ptr = std::shared_ptr<call_record>;

/// Runs what the test gives it on its own thread.
class asker : public rt::bounded_actor {
public:
  struct order {
    std::function<void(asker&)> run;
  };
  using bounded_actor::bounded_actor;

  template <message T>
  void send(const caf::actor& to, skep::context context, T payload, const record_ptr& into,
            std::uint64_t window) {
    const auto key = ask(
      to, std::move(context), std::move(payload), [into](const rt::answer& got) { into->add(got); },
      window);
    const std::lock_guard guard{into->lock_};
    into->key_ = key;
  }
  void grant_to(const record_ptr& whom, std::uint64_t bytes);
  void forget(const record_ptr& whom);

protected:
  caf::behavior make_behavior() override;
};

/// Options that try again at once.
provider_config quick_options();

/// One connector in front of a scripted upstream: real sockets, threads and time. Over the wire,
/// the asker reaches it through codec and ZeroMQ.
class open_provider {
public:
  explicit open_provider(skep::testing::tiny_upstream::script script,
                         provider_config options = quick_options(), bool over_wire = false);
  ~open_provider();

  record_ptr chat(bool stream, std::uint64_t window = 64u << 10, duration deadline = 20s);
  record_ptr finish_chat(const msg::chat_request& request);
  record_ptr models();
  record_ptr embed(const msg::embed_request& request);
  /// Asks and waits for the last answer.
  record_ptr finish_chat(bool stream, duration deadline = 20s);
  void grant(const record_ptr& whom, std::uint64_t bytes);
  void give_up(const record_ptr& whom);
  void kill_connector();
  /// From now on calls go through a guard.
  void guard_with(const rt::guard_config& rules);
  flow::breaker_state circuit() const;

  skep::testing::tiny_upstream& upstream() {
    return upstream_;
  }
  provider_meters& meters() {
    return meters_;
  }
  /// Transfers at work are none; transfers stopped for want of credit.
  bool idle() const {
    return fetch_.stats().active == 0;
  }
  std::uint64_t fetches_paused() const {
    return fetch_.stats().paused;
  }

private:
  static skep::context context(duration deadline);
  void order(std::function<void(asker&)> what);

  skep::testing::tiny_upstream upstream_;
  // Actors may end as late as in the system's destructor, so what they use stands before it.
  std::unique_ptr<rt::actor_kind> kind_;
  test::real_system sys_;
  provider_meters meters_;
  net::http_client fetch_;
  caf::actor connector_;
  caf::actor guard_;
  caf::actor reached_; // The connector as the asker reaches it.
  caf::actor asker_;
};

// Scripts of upstreams. This one counts requests and answers each with `answer`, which gets the
// request's number from 0.
skep::testing::tiny_upstream::script
counting(std::atomic<int>& count,
         std::function<void(skep::testing::upstream_connection&, int)> answer);
/// Answers with a whole stream, each event in a chunk of its own.
void send_stream(skep::testing::upstream_connection& on, std::initializer_list<std::string> events);

// Pieces of what a provider sends.
std::string error_body(const std::string& message, const std::string& code = "x");
std::string sse(const std::string& json);
std::string sse_text(const std::string& content);
inline const std::string sse_stop
  = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},"
    "\"finish_reason\":\"stop\"}]}\n\n";
inline const std::string sse_usage = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],"
                                     "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";
inline const std::string sse_done = "data: [DONE]\n\n";
inline const std::string whole_answer
  = "{\"id\":\"c\",\"created\":5,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":"
    "{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}";

} // namespace skep::actors::testing

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::testing::asker::order)
