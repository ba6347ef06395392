#pragma once

#include <chrono>
#include <optional>
#include <string_view>

// The ways in which providers write times in headers and bodies; pure.
namespace skep::actors {

/// A number that is nothing else, finite and not below zero.
std::optional<double> number_of(std::string_view text);

/// "1s", "6m0s", "2m59.5s", "12ms": numbers with units (d, h, m, s, ms), the sum of them.
std::optional<std::chrono::milliseconds> duration_of(std::string_view text);

/// RFC 3339, "2026-10-21T07:28:00Z", with or without fractions and an offset; or an HTTP date,
/// "Wed, 21 Oct 2026 07:28:00 GMT".
std::optional<std::chrono::system_clock::time_point> instant_of(std::string_view text);

} // namespace skep::actors
