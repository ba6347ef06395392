#pragma once

#include "runtime/base/assert.hpp"
#include "runtime/config/container_codecs.hpp"
#include "runtime/config/field_codecs.hpp"
#include "runtime/config/secret.hpp"

#include <initializer_list>
#include <string>

namespace skep::config {

template <class Owner>
class table;

/// One row of an option table: the key, the field it fills, its range, and a sentence of help.
///
///     option{"attempts_max", &retry_config::attempts_max, 1u, 10u, "Tries per call."}
///
/// Fields may be bool, integers, floats, std::chrono durations, std::string, secret, enums and
/// structs with a table of their own, and std::optional, std::vector, std::map<std::string, …> and
/// std::vector<std::pair<std::string, …>> of these. The default is what the struct's own
/// initializers say. A duration's key ends with its unit (`ttl_ms`), a byte count's with `_bytes`.
template <class Owner>
class option {
public:
  /// Numbers and durations; both ends are allowed values.
  template <class Field, detail::ranged Leaf = detail::leaf_of<Field>>
  option(std::string key, Field Owner::*field, std::type_identity_t<Leaf> min,
         std::type_identity_t<Leaf> max, std::string help)
    : option(key, field, number<Leaf>(key, min, max), std::move(help)) {}

  /// Booleans, text, secrets.
  template <class Field>
  option(std::string key, Field Owner::*field, std::string help)
    : option(std::move(key), field, plain<detail::leaf_of<Field>>(), std::move(help)) {}

  /// Enums: the words, each with what it means.
  template <class Field, detail::worded Leaf = detail::leaf_of<Field>>
  option(std::string key, Field Owner::*field,
         std::initializer_list<std::pair<std::string_view, std::type_identity_t<Leaf>>> words,
         std::string help)
    : option(std::move(key), field, std::make_shared<const detail::word_codec<Leaf>>(words),
             std::move(help)) {}

  /// Structs.
  template <class Field, std::same_as<detail::leaf_of<Field>> Inner>
  option(std::string key, Field Owner::*field, const table<Inner>& inner, std::string help)
    : option(std::move(key), field, table_codec(inner.info()), std::move(help)) {}

  /// The key must be given, by file, environment or argument.
  option required() && {
    info_.required = true;
    return std::move(*this);
  }

  /// Another environment variable that sets this option, weaker than its SKEP_ variable. Its number
  /// is multiplied by `factor`: `.alias_env("CACHE_TTL", 1000)` takes seconds for a `ttl_ms`.
  option alias_env(std::string name, std::int64_t factor = 1) && {
    info_.aliases.push_back({std::move(name), factor});
    return std::move(*this);
  }

  [[nodiscard]] const option_info& info() const noexcept {
    return info_;
  }

private:
  template <class Field>
  option(std::string key, Field Owner::*field, codec_ptr leaf, std::string help) {
    info_.key = std::move(key);
    info_.help = std::move(help);
    info_.kind = detail::layers<Field>::wrap(std::move(leaf));
    info_.field = [field](void* owner) -> void* { return &(static_cast<Owner*>(owner)->*field); };
  }

  template <class Leaf>
  static codec_ptr number(const std::string& key, Leaf min, Leaf max) {
    SKEP_ASSERT(min <= max);
    if constexpr (detail::whole<Leaf>) {
      auto unit = unit_of(key);
      if constexpr (detail::is_duration<Leaf>)
        SKEP_ASSERT(unit == detail::unit_name<Leaf>());
      return std::make_shared<const detail::whole_codec<Leaf>>(min, max, std::move(unit));
    } else {
      return std::make_shared<const detail::float_codec<Leaf>>(min, max);
    }
  }

  template <class Leaf>
  static codec_ptr plain() {
    if constexpr (std::same_as<Leaf, bool>)
      return bool_codec();
    else if constexpr (std::same_as<Leaf, std::string>)
      return string_codec();
    else {
      static_assert(std::same_as<Leaf, secret>, "this field needs a range, words or a table");
      return secret_codec();
    }
  }

  option_info info_;
};

/// The options of one struct: the loader, the printed configuration, configs/all-options.toml and
/// docs/configuration.md all come from it. A value; copies share the rows.
template <class Owner>
class table {
public:
  table(std::initializer_list<option<Owner>> options) {
    auto made = std::make_shared<table_info>();
    for (const auto& row : options)
      made->options.push_back(row.info());
    made->make = [] { return std::make_shared<Owner>(); };
    info_ = std::move(made);
  }

  /// Adds a check over several fields. `rule` is called with a `const Owner&` whose fields are all
  /// in range and returns std::optional<violation>.
  template <class Check>
  table check(Check rule) && {
    auto made = std::make_shared<table_info>(*info_);
    made->checks.push_back([rule = std::move(rule)](const void* owner) -> std::optional<violation> {
      return rule(*static_cast<const Owner*>(owner));
    });
    info_ = std::move(made);
    return std::move(*this);
  }

  /// Appends another table's rows and checks: for one too long to be read in one piece.
  table with(const table& more) && {
    auto made = std::make_shared<table_info>(*info_);
    const auto& from = *more.info();
    made->options.insert(made->options.end(), from.options.begin(), from.options.end());
    made->checks.insert(made->checks.end(), from.checks.begin(), from.checks.end());
    info_ = std::move(made);
    return std::move(*this);
  }

  [[nodiscard]] const table_ptr& info() const noexcept {
    return info_;
  }

private:
  table_ptr info_;
};

} // namespace skep::config
