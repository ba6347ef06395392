#include "messages/failure.hpp"

namespace skep {

std::string to_string(const failure& f) {
  std::string text{to_string(f.code)};
  if (!f.detail.empty())
    text += ": " + f.detail;
  return text;
}

} // namespace skep
