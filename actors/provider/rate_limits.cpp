#include "actors/provider/rate_limits.hpp"

#include "actors/provider/answer_stream.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>

namespace skep::actors {

namespace {

flow::token_bucket bucket_of(double per_minute, double burst, time_point now) {
  flow::token_bucket_config config;
  config.rate_per_second = per_minute / 60.0;
  config.burst_max = burst;
  return flow::token_bucket{config, now};
}

} // namespace

rate_limits::rate_limits(std::uint32_t requests_per_minute, std::uint64_t tokens_per_minute,
                         time_point now) {
  if (requests_per_minute > 0) {
    // No burst beyond a second's worth: providers often count in short windows.
    const double rate = requests_per_minute;
    requests_ = bucket_of(rate, std::max(1.0, rate / 60.0), now);
  }
  if (tokens_per_minute > 0) {
    // One call may be a large part of a minute's worth.
    const auto rate = static_cast<double>(tokens_per_minute);
    tokens_ = bucket_of(rate, rate, now);
  }
}

duration rate_limits::admit(double tokens, time_point now) {
  auto wait = duration::zero();
  if (requests_)
    wait = std::max(wait, requests_->wait_for(1, now));
  if (tokens_)
    wait = std::max(wait, tokens_->wait_for(tokens, now));
  if (wait > duration::zero())
    return wait;
  if (requests_)
    requests_->charge(1, now);
  if (tokens_)
    tokens_->charge(tokens, now);
  return wait;
}

void rate_limits::settle(double estimated, double actual, time_point now) {
  if (!tokens_)
    return;
  if (actual > estimated)
    tokens_->charge(actual - estimated, now);
  else
    tokens_->give_back(estimated - actual, now);
}

double tokens_asked(const msg::chat_request& request, std::size_t prompt_bytes) {
  const json::object parameters{request.parameters};
  auto answer = parameters.count("max_completion_tokens");
  if (answer == 0)
    answer = parameters.count("max_tokens");
  return static_cast<double>(estimated_usage(prompt_bytes, 0).prompt + answer);
}

} // namespace skep::actors
