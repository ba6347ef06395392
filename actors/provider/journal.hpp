#pragma once

#include "messages/failure.hpp"
#include "runtime/base/clock.hpp"

#include <array>
#include <string>

namespace skep::actors {

/// Tells the log how an address of a provider does: each kind of failure once when it begins, and
/// once that it answers again; never a line per call. One that fails now and then is told of at
/// most twice in half a minute for each kind. Not thread-safe.
class journal {
public:
  /// The same failure is told again, after answers in between, no sooner than this.
  static constexpr duration quiet = 30s;

  journal(std::string provider, std::string address);

  /// The provider cannot be used: it is not reached, refuses the key, is configured wrongly. The
  /// detail is for the log; it may say what clients are not to know.
  void failed(const failure& why, time_point now);
  /// Whether this failure was told of and nothing was answered since.
  bool tells_of(errc code) const;
  /// An attempt was answered.
  void answered();
  /// A retry was refused for want of budget.
  void budget_spent(time_point now);

private:
  struct kind {
    bool told = false; // And not answered since.
    time_point next{};
  };

  const std::string provider_;
  const std::string address_;
  std::array<kind, errc_count> kinds_{};
  bool troubled_ = false;
  time_point next_budget_{};
};

} // namespace skep::actors
