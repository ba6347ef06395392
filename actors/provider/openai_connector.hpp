#pragma once

#include "actors/common/openai_json.hpp"
#include "actors/provider/config.hpp"
#include "actors/provider/meters.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/flow/backoff.hpp"
#include "runtime/flow/retry_budget.hpp"
#include "runtime/flow/token_bucket.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/net/sse_parser.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace skep::actors {

/// From the fetch thread to a connector: what one attempt of one call brought. Control.
struct fetch_event {
  enum class kind : std::uint8_t { headers, data, done };

  std::uint64_t job = 0;
  /// Which of the call's transfers.
  std::uint32_t epoch = 0;
  kind what = kind::done;
  std::string data;
  std::chrono::milliseconds retry_after{0};
  net::fetch_result result;
};

/// Speaks to one OpenAI-compatible base URL. A call is one HTTP exchange; it is tried again
/// (bounded in number, by a budget and by the call's deadline) as long as nothing of an answer has
/// left. Streams are read only as fast as the caller takes them. A caller that goes away closes the
/// provider's socket.
class openai_connector : public rt::bounded_actor {
public:
  openai_connector(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                   std::string provider, std::string base_url,
                   std::shared_ptr<const provider_config> options, net::http_client& fetch);

protected:
  caf::behavior make_behavior() override;
  void on_stop() override;

private:
  struct job {
    rt::responder out;
    skep::context context;
    bool stream = false;
    std::string body;
    time_point began{};
    std::uint32_t attempt = 0;
    std::uint32_t epoch = 0;
    net::fetch_id fetch = 0;
    std::uint64_t timer = 0;
    flow::backoff backoff{flow::backoff_config{}};
    std::chrono::milliseconds retry_after{0};
    std::optional<net::sse_parser> parser;
    bool opened = false;
    bool finished = false; // [DONE] or a finish reason came.
    msg::token_usage usage;
    std::int64_t owed = 0; // Bytes read and not yet granted to the transfer again.
  };
  using job_id = std::uint64_t;

  void begin(const rt::call& c, const msg::chat_request& request);
  bool admit(const rt::call& c);
  void start_attempt(job_id id);
  net::fetch_request fetch_request_for(const job& j) const;
  net::fetch_headers headers_for(const skep::context& context) const;
  void fetched(const fetch_event& event);
  void data_came(job_id id, job& j, std::string_view bytes);
  void event_came(job& j, std::string_view data);
  void repay(job& j);
  void transfer_ended(job_id id, const fetch_event& event);
  void answer_whole(job_id id, const std::string& body);
  void end_stream(job_id id);
  void attempt_failed(job_id id, const failure& why);
  void end(job_id id, errc how);
  void cancelled(job_id id);

  void list_models(const rt::call& c);
  void models_came(const fetch_event& event);

  const std::string provider_;
  const std::string base_url_;
  const std::shared_ptr<const provider_config> options_;
  net::http_client& fetch_;
  provider_meters meters_;
  flow::retry_budget budget_;
  std::optional<flow::token_bucket> rate_;
  flow::rng random_;
  std::unordered_map<job_id, job> jobs_;
  job_id last_job_ = 0;

  std::vector<rt::responder> models_waiting_;
  msg::models_reply models_;
  time_point models_fresh_until_{};
  job_id models_job_ = 0;
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::fetch_event)
