#pragma once

namespace skep::bench {

/// What the policy of an upstream route costs a call.
void bench_policy();

} // namespace skep::bench
