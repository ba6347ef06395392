#pragma once

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

namespace skep::net {

/// Received bytes not yet parsed. consume() never moves them, because a read into the free part may
/// be pending; only prepare() does, which is called when none is.
class http_input {
public:
  [[nodiscard]] std::string_view view() const noexcept {
    return {bytes_.data() + begin_, end_ - begin_};
  }
  [[nodiscard]] std::size_t size() const noexcept {
    return end_ - begin_;
  }
  void consume(std::size_t count) noexcept {
    begin_ += count;
  }
  /// Room for the next read: small while little comes, up to `capacity_max` when a head or a body
  /// fills what there is.
  boost::asio::mutable_buffer prepare(std::size_t capacity_max);
  void commit(std::size_t count) noexcept {
    end_ += count;
  }

private:
  std::vector<char> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool filled_ = false;
};

} // namespace skep::net
