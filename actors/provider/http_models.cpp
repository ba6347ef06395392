// The part of http_connector that lists the provider's models.
#include "actors/provider/http_connector.hpp"
#include "actors/provider/outcome.hpp"
#include "runtime/base/log.hpp"
#include "runtime/net/fetch_pools.hpp"

#include <algorithm>
#include <array>

namespace skep::actors {

namespace {

// One list serves all who wait for it, so no caller's deadline bounds it.
constexpr std::chrono::milliseconds models_timeout_max{10'000};

} // namespace

void http_connector::list_models(const rt::call& c) {
  if (!options_->models.empty()) {
    msg::models_reply fixed;
    for (const auto& name : options_->models)
      fixed.models.push_back({name, 0, provider_});
    reply(c, std::move(fixed));
    return;
  }
  if (now() < models_fresh_until_) {
    reply(c, models_);
    return;
  }
  if (models_waiting_.size() >= options_->in_flight_max) {
    meters_.refused.inc();
    refuse(c, failure{errc::overloaded,
                      "too many callers wait for the models of provider " + provider_,
                      kind().bounds.retry_after});
    return;
  }
  if (auto out = take(c))
    models_waiting_.push_back(std::move(out));
  if (models_job_ == 0 && !models_waiting_.empty())
    fetch_models(c.context);
}

void http_connector::fetch_models(const skep::context& context) {
  net::fetch_request request;
  request.url = base_url_;
  request.url += dialect_->models_path();
  request.headers = headers_for(context, dialect_->headers());
  request.headers.emplace_back("Accept", "application/json");
  request.connect_timeout = options_->connect_timeout;
  request.total_timeout = std::min(options_->total_timeout, models_timeout_max);
  request.compressed = true;
  request.body_max = options_->answer_max;
  models_job_ = ++last_job_;
  const auto started = fetch_.start(std::move(request),
                                    post_events_to(caf::strong_actor_ptr{ctrl()}, models_job_, 1));
  if (started) {
    models_fetch_ = *started;
    return;
  }
  net::fetch_result refused;
  refused.error = net::fetch_error::invalid_request;
  refused.why = started.error();
  models_came(refused);
}

void http_connector::models_came(const net::fetch_result& result) {
  models_job_ = 0;
  models_fetch_ = 0;
  auto waiting = std::exchange(models_waiting_, {});
  expected<std::vector<msg::model_entry>> read;
  if (!result.ok()) {
    read = tl::make_unexpected(failure_of_transfer(result, provider_));
    note_transfer(read.error(), result);
  } else if (result.status != 200) {
    read = tl::make_unexpected(failure_of_status(result.status, result.body, {}));
  } else {
    read = dialect_->read_models(result.body);
  }
  note_models(read ? std::string{} : to_string(read.error()));
  if (!read)
    tell(read.error(), 1);
  if (read) {
    models_.models = std::move(*read);
    models_fresh_until_ = now() + options_->models_ttl;
  }
  for (auto& out : waiting) {
    if (read)
      out.reply(models_);
    else
      out.fail(read.error());
  }
}

/// Logs once that there is no list, for it is left out of /v1/models without a word to clients.
void http_connector::note_models(const std::string& trouble) {
  if (models_missing_ == !trouble.empty())
    return;
  models_missing_ = !trouble.empty();
  using log::field;
  const auto address = net::host_of(base_url_);
  if (models_missing_)
    log::tell(log::level::warn, {}, "its models are not listed",
              std::array{field{"provider", provider_}, field{"address", address},
                         field{"reason", trouble}});
  else
    log::tell(log::level::info, {}, "its models are listed again",
              std::array{field{"provider", provider_}, field{"address", address}});
}

} // namespace skep::actors
