#include "runtime/net/http_shared_body.hpp"

#include <functional>
#include <string_view>
#include <utility>

namespace skep::net {

http_tail_ptr http_body_store::share(std::string& body, std::size_t begin,
                                     std::atomic<std::size_t>& all, std::size_t bytes_max) {
  const auto end = std::string_view{body}.substr(begin);
  const auto hash = std::hash<std::string_view>{}(end);
  const std::lock_guard lock{mutex_};
  std::erase_if(waiting_, [](const auto& each) { return each.second.expired(); });
  const auto known = waiting_.find(hash);
  if (auto same = known == waiting_.end() ? nullptr : known->second.lock();
      same && same->view() == end) {
    body.resize(begin);
    body.shrink_to_fit();
    return same;
  }
  byte_lease lease{all, end.size()};
  if (all.load(std::memory_order_relaxed) > bytes_max)
    return nullptr;
  std::string own{body, 0, begin};
  auto made = std::make_shared<const http_tail>(
    http_tail{std::exchange(body, std::move(own)), begin, std::move(lease)});
  waiting_[hash] = made;
  return made;
}

} // namespace skep::net
