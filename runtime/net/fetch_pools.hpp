#pragma once

#include "runtime/flow/pool_sizer.hpp"
#include "runtime/net/fetch_pool_meters.hpp"
#include "runtime/net/fetch_types.hpp"

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace skep::net {

/// host:port of a URL, lower case, with the scheme's port when it names none; the URL itself when
/// it has none of that form. User and password are left out.
std::string host_of(std::string_view url);

/// Where a transfer stands in its host's pool. Belongs to the transfer.
struct fetch_seat {
  struct fetch_pool* pool = nullptr;
  bool waiting = false;
  time_point since{};
  std::list<fetch_id>::iterator place; // In the queue, while waiting.
};

/// One host's connections: how many may be at work, and who waits for one.
struct fetch_pool {
  fetch_pool(std::string name, const flow::pool_sizer_config& rules, fetch_pool_meters& shown);

  const std::string host;
  flow::pool_sizer sizer;
  fetch_pool_meters& meters;
  /// Transfers handed to libcurl.
  std::size_t working = 0;
  /// Transfers that may share one connection: 1 until the host has spoken HTTP/2.
  std::size_t streams = 1;
  /// Who waits, in their order.
  std::list<fetch_id> queue;
  bool ready = false; // Listed as such.
  time_point used_at{};
  // What the meters were told last, so that pools may share a series.
  std::int64_t shown_size = 0;
  std::int64_t shown_used = 0;
  std::int64_t shown_waiting = 0;
  std::int64_t shown_average = 0;
};

/// The pools in front of libcurl: a transfer gets a seat at its host, or waits for one. libcurl
/// owns the connections themselves; a seat is the right to use one. Fetch thread only.
class fetch_pools {
public:
  fetch_pools(const fetch_config& config, fetch_pool_book& book);

  /// Gives the transfer a seat at once (true), or a place in the queue.
  bool enter(fetch_id id, const std::string& host, fetch_seat& seat, time_point now);
  /// The transfer has ended, wherever it was. `http2`: the host spoke it.
  void leave(fetch_seat& seat, bool http2, time_point now);

  /// The next transfer that may go out now; its seat must be given to seated().
  std::optional<fetch_id> next_ready();
  void seated(fetch_seat& seat, time_point now);

  /// When tick() has something to do.
  std::optional<time_point> due() const {
    return due_;
  }
  /// Looks at all sizes again and forgets hosts that are not used any more.
  void tick(time_point now);

private:
  fetch_pool& pool_of(const std::string& host);
  /// Lets the sizer decide, and lists the pool if somebody may go on.
  void look(fetch_pool& pool, time_point now);
  static void show_all(fetch_pool& pool);
  void look_again(const fetch_pool& pool);
  static void forget(fetch_pool& pool);

  const fetch_config& config_;
  fetch_pool_book& book_;
  const flow::pool_sizer_config rules_;
  std::unordered_map<std::string, std::unique_ptr<fetch_pool>> pools_;
  std::vector<fetch_pool*> ready_; // May have both room and somebody who waits; none twice.
  std::optional<time_point> due_;
};

} // namespace skep::net
