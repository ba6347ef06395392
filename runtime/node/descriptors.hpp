#pragma once

#include <cstdint>

namespace skep::rt {

/// Who may have which of the process's file descriptors.
struct descriptor_needs {
  /// What the process may have; 0: no limit.
  std::uint64_t limit = 0;
  /// What it has now, before any client or provider is connected.
  std::uint64_t open = 0;
  /// Connections to providers.
  std::uint64_t providers = 0;
  /// For links, Redis, the store and the log.
  std::uint64_t reserve = 0;
};

/// How many of the client connections wanted fit beside everything else. When not all do, clients
/// get what the others leave, but at least a third of what there is, and one. Those that are told
/// that there is no room need descriptors, too; they are counted. Pure.
std::uint64_t clients_that_fit(const descriptor_needs& needs, std::uint64_t wanted);

/// The limit at which all of them would fit.
std::uint64_t limit_that_fits(const descriptor_needs& needs, std::uint64_t wanted);

/// Raises the process's soft limit of file descriptors to the hard one.
void raise_descriptor_limit();

} // namespace skep::rt
