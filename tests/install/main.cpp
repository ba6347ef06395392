// What a user of the installed tree writes: only installed headers and targets.
#include "messages/errc.hpp"
#include "messages/failure.hpp"
#include "runtime/base/expected.hpp"

#include <cstdlib>
#include <iostream>
#include <string>

namespace {

skep::expected<std::string> refuse() {
  return skep::fail(skep::errc::overloaded, "the outside project refuses on purpose");
}

} // namespace

int main() {
  const auto answer = refuse();
  if (answer || answer.error().code != skep::errc::overloaded)
    return EXIT_FAILURE;
  std::cout << "outside project: " << to_string(answer.error().code) << '\n';
  return EXIT_SUCCESS;
}
