#include "runtime/config/codec.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace skep::config {

namespace {

class boolean final : public codec {
public:
  void read(const value& from, void* field, reader& in) const override {
    if (const auto* flag = std::get_if<bool>(&from.data))
      *static_cast<bool*>(field) = *flag;
    else
      in.error(from.at,
               fmt::format("{} must be true or false, not {}", in.name(), kind_name(from)));
  }
  [[nodiscard]] value write(const void* field) const override {
    return make_value(*static_cast<const bool*>(field));
  }
  [[nodiscard]] shape describe() const override {
    return {.type = "boolean", .range = {}, .example = "false"};
  }
};

class text final : public codec {
public:
  void read(const value& from, void* field, reader& in) const override {
    auto given = read_text(from, in);
    if (!given)
      return;
    auto& out = *static_cast<std::string*>(field);
    if (auto name = reference_name(*given)) {
      if (auto found = in.env().get(*name)) {
        out = std::move(*found);
        in.remember_reference(std::move(*given));
      } else if (out.empty()) {
        in.error(from.at, fmt::format("the environment variable {} is not set", *name));
      }
      // Otherwise the default stays, as if the key were not there.
      return;
    }
    // It came from the environment whole and may hold a password (a URL): show the variable
    // instead.
    if (from.from == layer::environment && !from.raw.empty())
      in.remember_reference("env." + from.at.file);
    out = std::move(*given);
  }
  [[nodiscard]] value write(const void* field) const override {
    return make_value(*static_cast<const std::string*>(field));
  }
  [[nodiscard]] shape describe() const override {
    return {.type = "string", .range = {}, .example = "\"\""};
  }
};

class credential final : public codec {
public:
  void read(const value& from, void* field, reader& in) const override {
    auto given = read_text(from, in);
    if (!given)
      return;
    auto& out = *static_cast<secret*>(field);
    if (auto name = reference_name(*given)) {
      if (auto found = in.env().get(*name))
        out = take(std::move(*name), *found, from, in);
      else
        in.error(from.at, fmt::format("the environment variable {} is not set", *name));
    } else if (from.from == layer::environment && !from.raw.empty()) {
      out = take(from.at.file, *given, from, in);
    } else {
      in.error(from.at, fmt::format("{} is a secret and must not stand here: put it in an "
                                    "environment variable and write \"env.NAME\"",
                                    in.name()));
    }
  }
  [[nodiscard]] value write(const void* field) const override {
    const auto& held = *static_cast<const secret*>(field);
    return held.empty() ? value{} : make_value(held.reference());
  }
  [[nodiscard]] shape describe() const override {
    return {.type = "secret", .range = "\"env.NAME\"", .example = "\"env.NAME\""};
  }

private:
  /// A variable that was filled from a file ends with the file's line end, which is not meant.
  static secret take(std::string variable, std::string_view text, const value& from, reader& in) {
    while (text.ends_with('\n') || text.ends_with('\r'))
      text.remove_suffix(1);
    const bool fits = !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
    });
    if (!fits)
      in.error(from.at, fmt::format("the environment variable {} holds {}", variable,
                                    text.empty() ? "nothing but line ends"
                                                 : "a control character, which no credential has"));
    return {std::move(variable), std::string{text}};
  }
};

class table_of final : public codec {
public:
  explicit table_of(table_ptr inner) : inner_(std::move(inner)) {}
  void read(const value& from, void* field, reader& in) const override {
    read_table(*inner_, from, field, in);
  }
  [[nodiscard]] value write(const void* field) const override {
    return write_table(*inner_, field);
  }
  [[nodiscard]] shape describe() const override {
    return {
      .as = form::table, .type = "table", .range = {}, .example = "{}", .inner = inner_.get()};
  }
  [[nodiscard]] bool reads_absent() const override {
    return true;
  }

private:
  table_ptr inner_;
};

/// "[cache]", or "the top level".
std::string table_name(const reader& in) {
  return in.path().empty() ? std::string{"the top level"} : fmt::format("[{}]", in.path());
}

/// `ttl_s` where `ttl_ms` exists is a wrong unit, not a typing slip.
std::optional<std::string> other_unit(std::string_view key, const std::vector<std::string>& keys) {
  auto stem = [](std::string_view k) { return k.substr(0, k.rfind('_')); };
  if (unit_of(key).empty())
    return std::nullopt;
  for (const auto& known : keys)
    if (!unit_of(known).empty() && stem(known) == stem(key))
      return known;
  return std::nullopt;
}

void unknown_key(const table_info& table, const member& m, reader& in) {
  std::vector<std::string> keys;
  for (const auto& option : table.options)
    keys.push_back(option.key);
  if (in.path().empty() && std::holds_alternative<object>(m.held.data)) {
    auto guess = nearest(m.key, keys);
    in.error(m.at, fmt::format("unknown section [{}]; {}", key_text(m.key.substr(0, 64)),
                               guess ? fmt::format("did you mean [{}]?", *guess)
                                     : fmt::format("there are: {}", fmt::join(keys, ", "))));
    return;
  }
  auto message = fmt::format("unknown key {} in {}", quoted_short(m.key), table_name(in));
  if (auto known = other_unit(m.key, keys))
    message += fmt::format("; the unit is wrong: write \"{}\", in {}", *known, unit_of(*known));
  else if (auto guess = nearest(m.key, keys))
    message += fmt::format("; did you mean \"{}\"?", *guess);
  else if (!keys.empty())
    message += fmt::format("; there are: {}", fmt::join(keys, ", "));
  in.error(m.at, std::move(message));
}

void read_option(const option_info& option, const object& members, const place& table_at,
                 void* owner, reader& in) {
  auto given = std::find_if(members.begin(), members.end(),
                            [&](const member& m) { return m.key == option.key; });
  const value* from = given == members.end() ? nullptr : &given->held;
  auto alias = in.alias_value(option, from);
  if (alias)
    from = &*alias;
  if (!from) {
    if (option.required) {
      in.error(table_at, fmt::format("{} needs the key \"{}\"", table_name(in), option.key));
    } else if (option.kind->reads_absent()) {
      auto absent = make_value(object{});
      absent.at = table_at;
      in.inside(option.key, option.key, nullptr,
                [&] { option.kind->read(absent, option.field(owner), in); });
    }
    return;
  }
  in.inside(option.key, option.key, alias ? &alias->at : &given->at,
            [&] { option.kind->read(*from, option.field(owner), in); });
}

} // namespace

void read_table(const table_info& table, const value& from, void* owner, reader& in) {
  const auto* members = std::get_if<object>(&from.data);
  if (!members) {
    in.error(from.at, fmt::format("{} must be a table, not {}", table_name(in), kind_name(from)));
    return;
  }
  const auto before = in.errors();
  for (const auto& m : *members)
    if (std::none_of(table.options.begin(), table.options.end(),
                     [&](const option_info& option) { return option.key == m.key; }))
      unknown_key(table, m, in);
  for (const auto& option : table.options)
    read_option(option, *members, from.at, owner, in);
  if (in.errors() != before)
    return;
  for (const auto& check : table.checks)
    if (auto found = check(owner)) {
      const auto* at = in.place_of(join_path(in.path(), found->key));
      in.error(at ? *at : from.at, fmt::format("{}: {}", table_name(in), found->message));
    }
}

value write_table(const table_info& table, const void* owner) {
  object made;
  for (const auto& option : table.options) {
    // field() only moves the pointer; nothing is changed.
    const void* field = option.field(const_cast<void*>(owner));
    made.push_back({option.key, {}, option.kind->write(field)});
  }
  return make_value(std::move(made));
}

codec_ptr bool_codec() {
  static const auto one = std::make_shared<const boolean>();
  return one;
}

codec_ptr string_codec() {
  static const auto one = std::make_shared<const text>();
  return one;
}

codec_ptr secret_codec() {
  static const auto one = std::make_shared<const credential>();
  return one;
}

codec_ptr table_codec(table_ptr inner) {
  return std::make_shared<const table_of>(std::move(inner));
}

} // namespace skep::config
