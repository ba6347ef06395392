#pragma once

#include "runtime/io/redis_inbox.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace skep::io {

/// The host is an IP address already.
bool is_address(const std::string& host);

/// Looks a name up on a thread of its own ("redis-dns"), because getaddrinfo() may block for as
/// long as it likes, and hands the addresses to `inbox`. The thread ends with the lookup, which is
/// also what keeps the inbox alive until then.
void resolve(std::string host, std::shared_ptr<redis_inbox> inbox);

} // namespace skep::io
