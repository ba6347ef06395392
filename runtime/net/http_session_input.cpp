#include "runtime/net/http_session_input.hpp"

#include <algorithm>

namespace skep::net {

namespace {

/// What an idle connection keeps: ten thousand of them are the common case.
constexpr std::size_t input_min_bytes = 4 * 1024;

} // namespace

boost::asio::mutable_buffer http_input::prepare(std::size_t capacity_max) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (bytes_.size() > input_min_bytes && !filled_)
      bytes_ = std::vector<char>(input_min_bytes);
  } else if (begin_ > 0) {
    std::copy(bytes_.begin() + static_cast<std::ptrdiff_t>(begin_),
              bytes_.begin() + static_cast<std::ptrdiff_t>(end_), bytes_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (bytes_.empty())
    bytes_.resize(input_min_bytes);
  else if ((end_ == bytes_.size() || filled_) && bytes_.size() < capacity_max)
    bytes_.resize(std::min(bytes_.size() * 2, capacity_max));
  filled_ = false;
  return boost::asio::buffer(bytes_.data() + end_, bytes_.size() - end_);
}

} // namespace skep::net
