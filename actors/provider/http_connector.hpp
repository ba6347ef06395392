#pragma once

#include "actors/provider/answer_stream.hpp"
#include "actors/provider/config.hpp"
#include "actors/provider/dialect.hpp"
#include "actors/provider/fetch_events.hpp"
#include "actors/provider/journal.hpp"
#include "actors/provider/meters.hpp"
#include "actors/provider/rate_limits.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/retry_policy.hpp"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

/// Speaks to one base URL in its dialect. A call is one HTTP exchange; it is tried again (bounded
/// by flow::retry_policy) as long as nothing of an answer has left.
///
/// A stream is read only as fast as its caller takes it: at most a window of the provider's bytes
/// is ahead of what was delivered, then reading stops and TCP slows the provider down. A caller
/// that goes away closes the provider's socket.
class http_connector : public rt::bounded_actor {
public:
  /// `base_url` without a slash at its end; `fetch` outlives the actor.
  http_connector(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                 std::string provider, std::string base_url,
                 std::shared_ptr<const provider_config> options, net::http_client& fetch);

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  using job_id = std::uint64_t;

  struct job {
    rt::responder out;
    skep::context context;
    bool stream = false;
    // Above 0: the call asks for that many vectors instead of a chat.
    std::size_t vectors = 0;
    std::string body;
    // Of a chat: its API, who asks, and the API in which its answer is passed on as it came.
    const chat_codec* codec = nullptr;
    net::fetch_headers headers;
    msg::native_api native = msg::native_api::none;
    std::size_t prompt_bytes = 0;
    double tokens_charged = 0;
    time_point began{};
    flow::retry_state tries;
    std::uint32_t asked = 0; // Attempts begun.
    // The transfer at work, and what tells its events from those of earlier ones.
    net::fetch_id fetch = 0;
    std::uint32_t epoch = 0;
    time_point attempt_began{};
    std::chrono::milliseconds retry_after{0};
    std::vector<msg::native_header> limits;
    // During an attempt that has brought nothing yet: its end. Between two: the next one's start.
    std::uint64_t timer = 0;
    // Of a stream.
    std::optional<answer_stream> answer;
    bool opened = false;
    std::int64_t owed = 0; // Bytes read and not yet granted to the transfer again.
  };
  // The end of a connection whose answer is complete: read, so that it can be used again.
  struct tail {
    net::fetch_id fetch = 0;
    std::uint64_t timer = 0;
  };

  bool full(const rt::call& c);
  job_id open_job(const rt::call& c, double tokens);
  void begin(const rt::call& c, const msg::chat_request& request);
  void embed(const rt::call& c, const msg::embed_request& request);
  void cancelled(job_id id);
  void end(job_id id, errc how, const msg::token_usage& usage);

  void start_attempt(job_id id);
  /// With what every request says besides.
  static net::fetch_headers headers_for(const skep::context& context, net::fetch_headers headers);
  net::fetch_request fetch_request_for(const job& j) const;
  std::optional<duration> wait_before_retry(job& j, const failure& why);
  void attempt_failed(job_id id, failure why);
  void tell(failure& why, std::uint32_t tries);
  void note_trouble(errc why, const std::string& text);
  bool hurried(const job& j) const;
  failure transfer_failed(job& j, const net::fetch_result& result);
  void note_transfer(const failure& why, const net::fetch_result& result);

  void fetched(const fetch_event& event);
  void deliver(job_id id);
  void open_stream(job& j, msg::chat_open head);
  void read_tail(job_id id, net::fetch_id fetch, std::int64_t owed);
  void transfer_ended(job_id id, const fetch_event& event);
  expected<msg::chat_reply> read_reply(const job& j, const std::string& body) const;
  void answer_came(job_id id, const std::string& body);
  void body_came(job_id id);
  bool ask_for_numbers(job_id id, const net::fetch_result& refused);
  void vectors_came(job_id id, const std::string& body);

  void list_models(const rt::call& c);
  void fetch_models(const skep::context& context);
  void models_came(const net::fetch_result& result);
  void note_models(const std::string& trouble);

  const std::string provider_;
  const std::string base_url_;
  const std::shared_ptr<const provider_config> options_;
  const std::unique_ptr<const dialect> dialect_;
  net::http_client& fetch_;
  provider_meters meters_;
  flow::retry_policy retries_;
  rate_limits rates_;
  flow::rng random_;
  std::unordered_map<job_id, job> jobs_;
  std::unordered_map<job_id, tail> tails_;
  job_id last_job_ = 0;
  journal journal_;
  bool numbers_only_ = false; // It has vectors, but not as base64.

  std::vector<rt::responder> models_waiting_;
  msg::models_reply models_;
  time_point models_fresh_until_{};
  // The transfer of the list; 0 when none is at work.
  job_id models_job_ = 0;
  net::fetch_id models_fetch_ = 0;
  bool models_missing_ = false; // And it was logged.
};

} // namespace skep::actors
