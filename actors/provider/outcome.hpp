#pragma once

#include "messages/failure.hpp"
#include "runtime/net/fetch_types.hpp"

#include <string>
#include <string_view>

// What a provider's answer means; pure.
namespace skep::actors {

/// A status other than 2xx as the failure callers act on. Three kinds of 429 are told apart; the
/// provider's own words go into the detail, cut to a sane length.
failure failure_of_status(int status, std::string_view body, std::chrono::milliseconds retry_after);

/// A transfer that did not complete.
failure failure_of_transfer(const net::fetch_result& result);

/// Retry-After as these headers say it (retry-after-ms, seconds or an HTTP date); zero for nothing.
std::chrono::milliseconds retry_after_of(const net::fetch_headers& headers);

/// Trying the same provider again may help.
bool may_retry(const failure& why);

} // namespace skep::actors
