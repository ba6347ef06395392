#include "cli/simulate/port_claim.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace skep::cli::simulate {

namespace {

std::uint16_t port_of(const sockaddr_storage& bound) {
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  if (bound.ss_family == AF_INET6) {
    std::memcpy(&v6, &bound, sizeof v6);
    return ntohs(v6.sin6_port);
  }
  std::memcpy(&v4, &bound, sizeof v4);
  return ntohs(v4.sin_port);
}

} // namespace

expected<port_claim> port_claim::take(const std::string& address, std::uint16_t port) {
  const auto text = address + " port " + std::to_string(port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto service = std::to_string(port);
  if (const int bad = getaddrinfo(address.c_str(), service.c_str(), &hints, &found); bad != 0)
    return fail(errc::transport_failed, "cannot resolve " + text + ": " + gai_strerror(bad));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner{found, freeaddrinfo};
  port_claim claim{socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), 0};
  const int on = 1;
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  auto* raw = static_cast<void*>(&bound);
  if (claim.fd_ < 0 || setsockopt(claim.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
      || bind(claim.fd_, found->ai_addr, found->ai_addrlen) != 0
      || getsockname(claim.fd_, static_cast<sockaddr*>(raw), &size) != 0)
    return fail(errc::transport_failed, "cannot bind " + text + ": " + std::strerror(errno));
  claim.port_ = port_of(bound);
  return claim;
}

port_claim::port_claim(port_claim&& other) noexcept
  : fd_(std::exchange(other.fd_, -1)), port_(other.port_) {}

port_claim& port_claim::operator=(port_claim&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(port_, other.port_);
  return *this;
}

port_claim::~port_claim() {
  if (fd_ >= 0)
    close(fd_);
}

} // namespace skep::cli::simulate
