#pragma once

#include "runtime/net/compression.hpp"
#include "runtime/net/http_message.hpp"

#include <atomic>
#include <cstdint>
#include <string>

namespace skep::net {

/// What a request says about the form of its answer.
struct answer_wishes {
  coding_choice coding;
  /// If-None-Match of a GET or HEAD; empty when there is none.
  std::string if_none_match;
};

/// Reads them. With compression off nothing is negotiated.
answer_wishes read_wishes(const http_request& request, bool compression);

/// Answers that were packed, their bytes before and after; relaxed, any thread.
struct compression_counters {
  std::atomic<std::uint64_t> answers{0}, plain_bytes{0}, packed_bytes{0};
};

/// True when the entity tag stands in an If-None-Match field, by weak comparison (RFC
/// 9110, 13.1.2).
bool matches_etag(std::string_view if_none_match, std::string_view etag);

/// Gives a whole answer the form its client asked for: 304 in the place of a body it has already
/// (only where the answer carries an `etag`), else the coding it takes, when that is worth it. Runs
/// on the thread that answers, which pays for the compression; max_bytes bounds how much.
void shape_answer(http_response& response, const answer_wishes& wishes,
                  const compression_config& rules, compression_counters& counters);

} // namespace skep::net
