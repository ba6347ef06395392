#include "runtime/io/redis_resolver.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <thread>
#include <utility>

namespace skep::io {

namespace {

redis_addresses look_up(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found); error != 0)
    return fail(errc::transport_failed, fmt::format("the name {} of the Redis server is not known: "
                                                    "{}; check redis.url and the name service",
                                                    host, ::gai_strerror(error)));
  std::vector<std::string> addresses;
  for (const auto* each = found; each != nullptr; each = each->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST)
        == 0)
      addresses.emplace_back(text.data());
  }
  ::freeaddrinfo(found);
  if (addresses.empty())
    return fail(errc::transport_failed, "the name " + host + " has no address");
  return addresses;
}

} // namespace

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1
         || ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

void resolve(std::string host, std::shared_ptr<redis_inbox> inbox) {
  const auto work = [host = std::move(host), to = inbox] {
    ::pthread_setname_np(::pthread_self(), "redis-dns");
    to->resolved(look_up(host));
  };
  try {
    std::thread{work}.detach();
  } catch (const std::system_error&) {
    inbox->resolved(fail(errc::transport_failed, "no thread for the lookup of the Redis server"));
  }
}

} // namespace skep::io
