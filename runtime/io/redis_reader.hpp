#pragma once

#include "runtime/io/redis_types.hpp"

#include <cstddef>
#include <string>

struct redisReader;

namespace skep::io {

/// Bounds of what one connection may be told, and what it is told just now.
struct redis_reading {
  std::size_t bytes_max = 0;
  std::size_t elements_max = 0;
  /// Replies the server owes; one more is none of ours.
  std::size_t awaited = 0;
  /// Why reading was given up; empty when hiredis itself can say it.
  std::string problem;
  // Of the reply being read.
  std::size_t bytes = 0;
  std::size_t elements = 0;
};

/// Makes hiredis build redis_reply objects within the bounds of `state`, which must outlive the
/// reader. What exceeds them ends the connection, and so does a reply nobody asked for, at which
/// hiredis itself would abort the process.
void use_bounded_replies(redisReader& reader, redis_reading& state);

/// Takes the reply out of what hiredis hands to its callback.
redis_reply take_reply(void* from_hiredis);

} // namespace skep::io
