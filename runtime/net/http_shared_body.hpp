#pragma once

#include "runtime/net/http_operation.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace skep::net {

/// The large ends of answers that wait for clients, equal ones kept once. Any thread.
class http_body_store {
public:
  /// Smaller ends are not worth the search, bytes.
  static constexpr std::size_t shared_min_bytes = 64 * 1024;

  /// The body's end from `begin` on: the one that waits for others already, when it is equal, else
  /// this one, booked once in `all`. Null, and `body` is left as it is, when its bytes would bring
  /// `all` over `bytes_max`. `body` is taken otherwise. `all` must outlive what is returned.
  http_tail_ptr share(std::string& body, std::size_t begin, std::atomic<std::size_t>& all,
                      std::size_t bytes_max);

private:
  std::mutex mutex_;
  std::map<std::size_t, std::weak_ptr<const http_tail>> waiting_; // By hash; GUARDED_BY(mutex_)
};

} // namespace skep::net
