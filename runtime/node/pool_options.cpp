#include "runtime/node/pool_options.hpp"

namespace skep::actors {

const config::table<pool_config>& pool_table() {
  using config::option;
  using std::chrono::milliseconds;
  static const config::table<pool_config> rows{
    option{"idle_min", &pool_config::idle_min, 0u, 1'000'000u,
           "Idle instances kept however long nobody asks; never more than size_max."},
    option{"size_max", &pool_config::size_max, 1u, 4'000'000u,
           "Instances at once, each at work for one call; further calls are refused with 503. What "
           "the cache or a call in flight answers needs none."}
      .alias_env("AGENT_POOL_SIZE"),
    option{"overflow_max", &pool_config::overflow_max, 0u, 4'000'000u,
           "Calls let in beyond size_max until it is known whether the cache or a call in flight "
           "answers them; one more is refused with 503. Without meaning where cache is off."},
    option{"idle_ttl_ms", &pool_config::idle_ttl, milliseconds{100}, milliseconds{86'400'000},
           "An instance idle for longer is ended, the least recently used first."},
    option{"warm_up", &pool_config::warm_up, "Start idle_min instances with the node."},
    option{"retry_after_ms", &pool_config::retry_after, milliseconds{1}, milliseconds{60'000},
           "What a refused caller is told to wait."},
  };
  return rows;
}

} // namespace skep::actors
