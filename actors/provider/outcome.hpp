#pragma once

#include "apis/openai/chat_json.hpp"
#include "messages/chat.hpp"
#include "messages/failure.hpp"
#include "runtime/flow/retry_policy.hpp"
#include "runtime/net/fetch_types.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

// What a provider's answer means; pure.
namespace skep::actors {

/// A status other than 2xx as the failure callers act on. Three kinds of 429 are told apart; the
/// provider's own words go into the detail, cut to a sane length, and of a fault of the request
/// into its further members.
failure failure_of_status(int status, std::string_view body, std::chrono::milliseconds retry_after);

/// An error a provider reports under a good status: in the middle of a stream, or as the whole
/// body.
failure failure_of_error(const provider_error& error);

/// A transfer that did not complete, in words for clients: no address, none of libcurl's.
failure failure_of_transfer(const net::fetch_result& result, const std::string& provider);

/// When to try again as the headers of an answer of this status say it, at most an hour; zero for
/// nothing or nonsense. In this order: retry-after-ms; retry-after in seconds or as an HTTP date;
/// for a 429 the reset times of the limits (x-ratelimit-reset-requests "6m0s",
/// anthropic-ratelimit-tokens-reset as a date, …), the latest of those that are used up. `now` is
/// what a date is counted from.
std::chrono::milliseconds retry_after_of(int status, const net::fetch_headers& headers,
                                         std::chrono::system_clock::time_point now);

/// The headers that tell of the provider's rate limits (x-ratelimit-…, anthropic-ratelimit-…), in
/// lower case; at most 32, none longer than 256 bytes.
std::vector<msg::native_header> limits_of(const net::fetch_headers& headers);

/// What a failed attempt says about trying the same provider again. After a time-out the call may
/// have been served, and paid for, so only `after_timeout` allows another one.
flow::retry_class retry_class_of(const failure& why, bool after_timeout);

/// Adds the body of an error as it came, for clients of the API it is written in, where that API's
/// clients can read it.
void keep_body(failure& why, msg::native_api api, const std::string& body);

} // namespace skep::actors
