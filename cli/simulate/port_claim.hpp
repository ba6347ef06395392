#pragma once

#include "runtime/base/expected.hpp"

#include <cstdint>
#include <string>

namespace skep::cli::simulate {

/// Keeps a port for a server that comes and goes: bound, but not listened to, so that nobody else
/// gets it meanwhile and clients are refused. A server that asks for reuse_address, as ours does,
/// can bind it, too (Linux).
class port_claim {
public:
  /// Port 0 lets the system choose. errc::transport_failed when it cannot be had.
  static expected<port_claim> take(const std::string& address, std::uint16_t port);
  port_claim(port_claim&& other) noexcept;
  port_claim& operator=(port_claim&& other) noexcept;
  ~port_claim();

  std::uint16_t port() const {
    return port_;
  }

private:
  port_claim(int fd, std::uint16_t port) : fd_(fd), port_(port) {}

  int fd_ = -1;
  std::uint16_t port_ = 0;
};

} // namespace skep::cli::simulate
