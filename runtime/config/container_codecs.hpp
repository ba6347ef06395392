#pragma once

#include "runtime/config/codec.hpp"

#include <concepts>
#include <map>
#include <utility>

/// The codecs of fields that hold other fields. option.hpp picks them; nothing else needs this
/// file.
namespace skep::config::detail {

/// A field that may have no value.
template <class T>
class optional_codec final : public codec {
public:
  explicit optional_codec(codec_ptr inner) : inner_(std::move(inner)) {}
  void read(const value& from, void* field, reader& in) const override {
    T item{};
    const auto before = in.errors();
    inner_->read(from, &item, in);
    if (in.errors() == before)
      *static_cast<std::optional<T>*>(field) = std::move(item);
  }
  [[nodiscard]] value write(const void* field) const override {
    const auto& held = *static_cast<const std::optional<T>*>(field);
    return held ? inner_->write(&*held) : value{};
  }
  [[nodiscard]] shape describe() const override {
    return inner_->describe();
  }

private:
  codec_ptr inner_;
};

/// A list: of scalars `[a, b]`, of tables `[[key]]`. What is read replaces the default whole.
template <class T>
class list_codec final : public codec {
public:
  explicit list_codec(codec_ptr inner) : inner_(std::move(inner)) {}
  void read(const value& from, void* field, reader& in) const override {
    std::vector<T> items;
    read_list(from, in,
              [&](const value& element) { inner_->read(element, &items.emplace_back(), in); });
    *static_cast<std::vector<T>*>(field) = std::move(items);
  }
  [[nodiscard]] value write(const void* field) const override {
    array made;
    for (const auto& item : *static_cast<const std::vector<T>*>(field))
      made.push_back(inner_->write(&item));
    return make_value(std::move(made));
  }
  [[nodiscard]] shape describe() const override {
    auto of = inner_->describe();
    of.as = of.inner ? form::tables : form::scalar;
    of.type = "list of " + of.type;
    of.example = "[" + of.example + "]";
    return of;
  }

private:
  codec_ptr inner_;
};

/// Entries with names people choose: `[key.NAME]` tables, or scalars under free keys.
template <class Container, class T>
class named_codec final : public codec {
public:
  explicit named_codec(codec_ptr inner) : inner_(std::move(inner)) {}
  void read(const value& from, void* field, reader& in) const override {
    Container entries;
    read_members(from, in, [&](const member& m) {
      T item{};
      inner_->read(m.held, &item, in);
      entries.insert(entries.end(), {m.key, std::move(item)});
    });
    *static_cast<Container*>(field) = std::move(entries);
  }
  [[nodiscard]] value write(const void* field) const override {
    object made;
    for (const auto& [name, item] : *static_cast<const Container*>(field))
      made.push_back({name, {}, inner_->write(&item)});
    return make_value(std::move(made));
  }
  [[nodiscard]] shape describe() const override {
    auto of = inner_->describe();
    of.as = of.inner ? form::named_tables : form::table;
    of.type = "table of " + of.type;
    of.example = "NAME = " + of.example;
    return of;
  }

private:
  codec_ptr inner_;
};

/// A field's type seen as layers (optional, list, names) around a leaf, whose codec they wrap.
template <class T>
struct layers {
  using leaf = T;
  static codec_ptr wrap(codec_ptr inner) {
    return inner;
  }
};
template <class T>
struct layers<std::optional<T>> {
  using leaf = typename layers<T>::leaf;
  static codec_ptr wrap(codec_ptr inner) {
    return std::make_shared<const optional_codec<T>>(layers<T>::wrap(std::move(inner)));
  }
};
template <class T>
struct layers<std::vector<T>> {
  static_assert(!std::same_as<T, bool>, "a vector<bool> has no elements to point to");
  using leaf = typename layers<T>::leaf;
  static codec_ptr wrap(codec_ptr inner) {
    return std::make_shared<const list_codec<T>>(layers<T>::wrap(std::move(inner)));
  }
};
template <class T>
struct layers<std::vector<std::pair<std::string, T>>> {
  using leaf = typename layers<T>::leaf;
  static codec_ptr wrap(codec_ptr inner) {
    return std::make_shared<const named_codec<std::vector<std::pair<std::string, T>>, T>>(
      layers<T>::wrap(std::move(inner)));
  }
};
template <class T>
struct layers<std::map<std::string, T>> {
  using leaf = typename layers<T>::leaf;
  static codec_ptr wrap(codec_ptr inner) {
    return std::make_shared<const named_codec<std::map<std::string, T>, T>>(
      layers<T>::wrap(std::move(inner)));
  }
};

template <class Field>
using leaf_of = typename layers<Field>::leaf;

} // namespace skep::config::detail
