#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace skep {

/// An immutable list that its copies share: a copy costs as much as a pointer. On the wire it is a
/// plain list. Several threads may read and copy one list.
template <class T>
class shared_list {
public:
  using value_type = T;
  using const_iterator = typename std::vector<T>::const_iterator;

  shared_list() = default;
  shared_list(std::vector<T> items) // NOLINT: a vector is a list nobody shares yet.
    : items_(items.empty() ? nullptr : std::make_shared<const std::vector<T>>(std::move(items))) {}
  shared_list(std::initializer_list<T> items) : shared_list(std::vector<T>(items)) {}

  [[nodiscard]] const std::vector<T>& get() const {
    static const std::vector<T> none;
    return items_ ? *items_ : none;
  }
  operator const std::vector<T>&() const { // NOLINT: who reads needs not know that it is shared.
    return get();
  }
  [[nodiscard]] bool empty() const {
    return get().empty();
  }
  [[nodiscard]] std::size_t size() const {
    return get().size();
  }
  [[nodiscard]] const_iterator begin() const {
    return get().begin();
  }
  [[nodiscard]] const_iterator end() const {
    return get().end();
  }
  const T& operator[](std::size_t n) const {
    return get()[n];
  }
  [[nodiscard]] const T& at(std::size_t n) const {
    return get().at(n);
  }
  [[nodiscard]] const T& front() const {
    return get().front();
  }
  [[nodiscard]] const T& back() const {
    return get().back();
  }

  friend bool operator==(const shared_list& a, const shared_list& b) {
    return a.items_ == b.items_ || a.get() == b.get();
  }

private:
  std::shared_ptr<const std::vector<T>> items_;
};

} // namespace skep
