#include "runtime/node/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace skep::rt {

namespace {

/// net::http_server tells so many, or as many as it may have at most, that there is no room.
constexpr std::uint64_t refusals_max = 64;

std::uint64_t with_refusals(std::uint64_t clients) {
  return clients + std::min(clients, refusals_max);
}

} // namespace

std::uint64_t clients_that_fit(const descriptor_needs& needs, std::uint64_t wanted) {
  if (needs.limit == 0 || limit_that_fits(needs, wanted) <= needs.limit)
    return wanted;
  const auto free = needs.limit - std::min(needs.limit, needs.open);
  const auto others = needs.providers + needs.reserve;
  const auto share = std::max(free - std::min(free, others), free / 3);
  const auto clients = share > 2 * refusals_max ? share - refusals_max : share / 2;
  return std::clamp<std::uint64_t>(clients, 1, wanted);
}

std::uint64_t limit_that_fits(const descriptor_needs& needs, std::uint64_t wanted) {
  return needs.open + needs.providers + needs.reserve + with_refusals(wanted);
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
    return;
  limit.rlim_cur = limit.rlim_max;
  // Where this is not allowed, the old limit is counted with.
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace skep::rt
