#include "cli/simulate/script.hpp"

#include "cli/simulate/dialects.hpp"

#include <algorithm>

namespace skep::cli::simulate {

namespace {

constexpr std::string_view proxy_page
  = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
constexpr std::string_view welcome_page
  = "<!doctype html><html><body>Please sign in to this network.</body></html>\n";

script body_script(int status, std::string_view type, std::string body) {
  script made;
  made.status = status;
  made.headers.add("content-type", type);
  made.pieces.push_back({std::move(body), 0});
  return made;
}

std::string seconds_text(std::chrono::milliseconds time) {
  return std::to_string((time.count() + 999) / 1000);
}

/// What both APIs say when a limit of requests is reached.
script rate_limited(dialect spoken, const std::string& model, std::chrono::milliseconds after) {
  auto made
    = spoken == dialect::openai
        ? error_script(spoken,
                       {429,
                        "Rate limit reached for " + model
                          + " in organization org-simulated on requests per min (RPM): Limit 500, "
                            "Used 500, Requested 1. Please try again in "
                          + seconds_text(after) + "s.",
                        "requests",
                        "rate_limit_exceeded",
                        {}})
        : error_script(spoken, {429,
                                "This request would exceed your organization's rate limit of 50 "
                                "requests per minute. Please reduce your request rate.",
                                "rate_limit_error",
                                {},
                                {}});
  if (after.count() > 0)
    made.headers.add("retry-after", seconds_text(after));
  if (spoken == dialect::openai) {
    made.headers.add("x-ratelimit-limit-requests", "500");
    made.headers.add("x-ratelimit-remaining-requests", "0");
    made.headers.add("x-ratelimit-reset-requests", std::to_string(after.count()) + "ms");
  }
  return made;
}

script rate_limited_tokens(dialect spoken, const std::string& model,
                           std::chrono::milliseconds after) {
  auto made
    = spoken == dialect::openai
        ? error_script(spoken,
                       {429,
                        "Rate limit reached for " + model
                          + " in organization org-simulated on tokens per min (TPM): Limit 30000, "
                            "Used 29900, Requested 500. Please try again in "
                          + std::to_string(after.count()) + "ms.",
                        "tokens",
                        "rate_limit_exceeded",
                        {}})
        : error_script(spoken, {429,
                                "This request would exceed your organization's rate limit of "
                                "40,000 input tokens per minute.",
                                "rate_limit_error",
                                {},
                                {}});
  if (after.count() > 0)
    made.headers.add("retry-after-ms", std::to_string(after.count()));
  return made;
}

script quota(dialect spoken) {
  if (spoken == dialect::openai)
    return error_script(spoken,
                        {429,
                         "You exceeded your current quota, please check your plan and billing "
                         "details.",
                         "insufficient_quota",
                         "insufficient_quota",
                         {}});
  return error_script(spoken, {400,
                               "Your credit balance is too low to access the Anthropic API. Please "
                               "go to Plans & Billing to upgrade or purchase credits.",
                               "invalid_request_error",
                               {},
                               {}});
}

error_text overload_text(dialect spoken) {
  if (spoken == dialect::openai)
    return {503,
            "The engine is currently overloaded, please try again later.",
            "server_error",
            "server_is_overloaded",
            {}};
  return {529, "Overloaded", "overloaded_error", {}, {}};
}

error_text failure_text(dialect spoken, int status) {
  if (spoken == dialect::openai)
    return {status,
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            {},
            {}};
  return {status, "Internal server error", "api_error", {}, {}};
}

std::size_t bytes_of(const script& s) {
  std::size_t bytes = 0;
  for (const auto& each : s.pieces)
    bytes += each.bytes.size();
  return bytes;
}

/// The first half: of a stream's events, or of a whole answer's bytes.
void keep_half(script& s) {
  if (s.streamed) {
    s.pieces.resize(std::max<std::size_t>(2, s.pieces.size() / 2));
    return;
  }
  auto& body = s.pieces.front().bytes;
  body.resize(bytes_of(s) / 2);
  s.streamed = true; // Without a length, as what is left has another one.
}

script wrong_json(script good) {
  if (good.streamed)
    good.pieces.insert(good.pieces.begin(),
                       {"data: {\"id\": \"simulated\", \"choices\": [\n\n", 0});
  else
    good.pieces.front().bytes.resize(bytes_of(good) / 2);
  return good;
}

script broken_off(script good, finale how) {
  keep_half(good);
  good.end = how;
  return good;
}

script with_error_inside(dialect spoken, script good) {
  if (!good.streamed)
    return error_script(spoken, failure_text(spoken, 500));
  keep_half(good);
  const auto said = good.pieces.back().tokens;
  good.pieces.push_back({error_event(spoken, overload_text(spoken)), said});
  return good;
}

} // namespace

std::string id_of(dialect spoken, std::uint64_t number) {
  return (spoken == dialect::openai ? "chatcmpl-simulated-" : "msg_simulated_")
         + std::to_string(number);
}

script json_script(int status, std::string body) {
  return body_script(status, "application/json", std::move(body));
}

script error_script(dialect spoken, const error_text& error) {
  return json_script(error.status,
                     spoken == dialect::openai ? openai::error(error) : anthropic::error(error));
}

std::string error_event(dialect spoken, const error_text& error) {
  if (spoken == dialect::openai)
    return "data: " + openai::error(error) + "\n\n";
  return "event: error\ndata: " + anthropic::error(error) + "\n\n";
}

script script_of(dialect spoken, const model_call& call, const model_answer& answer) {
  script made;
  made.streamed = call.stream;
  const bool is_openai = spoken == dialect::openai;
  if (call.stream) {
    made.headers.add("content-type", "text/event-stream; charset=utf-8");
    made.headers.add("cache-control", "no-cache");
    made.pieces = is_openai ? openai::events(call, answer) : anthropic::events(answer);
  } else {
    made.headers.add("content-type", "application/json");
    made.pieces.push_back(
      {is_openai ? openai::whole(answer) : anthropic::whole(answer), answer.tokens_out});
  }
  return made;
}

script overload_script(dialect spoken) {
  return error_script(spoken, overload_text(spoken));
}

script with_fault(dialect spoken, const std::string& model, script good, const misfortune& fate,
                  const upstream_config& config) {
  script made;
  switch (fate.mode) {
    case fault_mode::none:
    case fault_mode::huge_chunk: return good;
    case fault_mode::rate_limited: return rate_limited(spoken, model, fate.retry_after);
    case fault_mode::rate_limited_tokens:
      return rate_limited_tokens(spoken, model, fate.retry_after);
    case fault_mode::quota: return quota(spoken);
    case fault_mode::overloaded: return overload_script(spoken);
    case fault_mode::error_500: return error_script(spoken, failure_text(spoken, 500));
    case fault_mode::error_502: return body_script(502, "text/html", std::string{proxy_page});
    case fault_mode::error_503: return error_script(spoken, failure_text(spoken, 503));
    case fault_mode::slow_loris:
      good.trickle = config.loris_pause;
      good.streamed = true;
      return good;
    case fault_mode::stall:
      made.headless = true;
      made.end = finale::hold;
      return made;
    case fault_mode::stall_midway: return broken_off(std::move(good), finale::hold);
    case fault_mode::cut: return broken_off(std::move(good), finale::abort);
    case fault_mode::cut_before:
    case fault_mode::down: // The listener goes; a call that is in already is cut.
      made.headless = true;
      made.end = finale::abort;
      return made;
    case fault_mode::error_in_stream: return with_error_inside(spoken, std::move(good));
    case fault_mode::wrong_json: return wrong_json(std::move(good));
    case fault_mode::wrong_type: return body_script(200, "text/html", std::string{welcome_page});
  }
  return good;
}

} // namespace skep::cli::simulate
