#include "runtime/net/http_shared.hpp"

#include <algorithm>
#include <utility>

namespace skep::net {

namespace ip = boost::asio::ip;

namespace {

/// Connections over a bound that are still being told so, at most; beyond it they are just closed.
constexpr std::size_t refusals_max = 64;

ip::address counted(const ip::address& from) {
  if (!from.is_v6())
    return from;
  const auto v6 = from.to_v6();
  if (v6.is_v4_mapped())
    return ip::make_address_v4(ip::v4_mapped, v6);
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return ip::make_address_v6(bytes);
}

} // namespace

std::size_t http_address_book::enter(const ip::address& address) {
  const std::lock_guard hold{mutex_};
  return ++counts_[address];
}

void http_address_book::leave(const ip::address& address) noexcept {
  const std::lock_guard hold{mutex_};
  const auto found = counts_.find(address);
  if (found != counts_.end() && --found->second == 0)
    counts_.erase(found);
}

std::size_t http_address_book::largest() const {
  const std::lock_guard hold{mutex_};
  std::size_t most = 0;
  for (const auto& [address, count] : counts_)
    most = std::max(most, count);
  return most;
}

http_response error_response(const http_server_config& config, int status, std::string_view message,
                             const refused_request& asked) {
  http_response response;
  try {
    if (config.error_reply)
      response = config.error_reply(status, message, asked);
  } catch (...) {
    // The owner's envelope failed; the plain one below still says why.
    response = {};
  }
  if (response.body.empty()) {
    // The messages are ours and hold nothing that JSON would have to escape.
    response.headers.add("content-type", "application/json");
    response.body.append(R"({"error":{"message":")").append(message).append(R"("}})");
  }
  response.status = status;
  return response;
}

http_response busy_response(const http_server_config& config, std::string_view message,
                            const refused_request& asked) {
  auto response = error_response(config, 503, message, asked);
  response.headers.add("retry-after", "1");
  return response;
}

http_place::http_place(std::shared_ptr<http_shared> shared, const ip::tcp::endpoint& from)
  : address_(counted(from.address())) {
  const auto& config = shared->config;
  const auto mine = shared->addresses.enter(address_);
  shared_ = std::move(shared);
  const auto all = shared_->counters.connections.fetch_add(1, std::memory_order_relaxed) + 1;
  const auto over
    = [](std::size_t count, std::size_t bound) { return count > bound ? count - bound : 0; };
  const auto over_server = over(all, config.connections_max);
  const auto bound = config.connections_per_address_max;
  const auto over_address = bound == 0 ? 0 : over(mine, bound);
  // Whose address has too many makes room himself.
  if (over_address > 0)
    over_ = crowding::address;
  else if (over_server > 0)
    over_ = crowding::server;
  in_flood_ = std::max(over_server, over_address) > std::min(refusals_max, config.connections_max);
}

void http_place::give_up() noexcept {
  const auto shared = std::exchange(shared_, nullptr);
  if (!shared)
    return;
  shared->counters.connections.fetch_sub(1, std::memory_order_relaxed);
  shared->addresses.leave(address_);
}

} // namespace skep::net
