#include "runtime/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace skep {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: skep has a bug: %s does not hold\n", file, line, condition);
  std::abort();
}

} // namespace skep
