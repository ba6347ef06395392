#pragma once

#include "cli/simulate/plan.hpp"
#include "runtime/base/expected.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace skep::cli::simulate {

/// A simulated provider that serves. One thread owns all of it; the HTTP server has its own. All
/// methods for one thread.
class upstream {
public:
  /// Listens; errc::transport_failed names the address. The plan's times are multiplied by `scale`.
  static expected<std::unique_ptr<upstream>> start(const std::string& address, std::uint16_t port,
                                                   plan from, double scale = 1);
  upstream(const upstream&) = delete;
  upstream& operator=(const upstream&) = delete;
  /// Cuts what is at work.
  ~upstream();

  /// "127.0.0.1:8080"; the same while it is down.
  std::string endpoint() const;

private:
  struct impl;
  explicit upstream(std::unique_ptr<impl> state);

  std::unique_ptr<impl> impl_;
};

} // namespace skep::cli::simulate
