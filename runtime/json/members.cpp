#include "runtime/json/members.hpp"

#include "runtime/base/text.hpp"
#include "runtime/json/scan.hpp"
#include "runtime/json/string.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace skep::json {

namespace {

/// Which bytes a scan stops at.
class stop_set {
public:
  constexpr explicit stop_set(std::string_view bytes) {
    for (const char each : bytes)
      stops_[static_cast<unsigned char>(each)] = true;
  }
  /// Where the first of them is, from `at` on; the text's size when there is none.
  std::size_t next(std::string_view text, std::size_t at) const {
    while (at < text.size() && !stops_[static_cast<unsigned char>(text[at])])
      ++at;
    return at;
  }

private:
  std::array<bool, 256> stops_{};
};

constexpr stop_set in_value{"\"{}[],"};

/// Goes through a text once.
class scanner {
public:
  explicit scanner(std::string_view text) : text_(text), at_(mark_length(text)) {}

  bool take(char wanted) {
    skip_space();
    const bool there = at_ < text_.size() && text_[at_] == wanted;
    at_ += there ? 1 : 0;
    return there;
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }
  /// A string with its quotes; empty when there is none.
  std::string_view string() {
    skip_space();
    const auto from = at_;
    return at_ < text_.size() && text_[at_] == '"' && skip_string() ? text_.substr(from, at_ - from)
                                                                    : std::string_view{};
  }
  /// Everything up to the comma or bracket that ends a value; empty when there is nothing.
  std::string_view value();

private:
  void skip_space() {
    at_ = space_end(text_, at_);
  }
  /// Moves behind the string that begins here; false when it does not end.
  bool skip_string() {
    for (++at_; at_ < text_.size(); ++at_) {
      at_ = quote_or_escape(text_, at_);
      if (at_ < text_.size() && text_[at_] == '"') {
        ++at_;
        return true;
      }
      ++at_; // What is escaped does not end the string.
    }
    at_ = text_.size();
    return false;
  }

  std::string_view text_;
  std::size_t at_;
};

std::string_view scanner::value() {
  skip_space();
  const auto from = at_;
  std::size_t depth = 0;
  while (at_ < text_.size()) {
    at_ = in_value.next(text_, at_);
    if (at_ == text_.size())
      break;
    const char found = text_[at_];
    const bool closes = found == '}' || found == ']';
    if (depth == 0 && (closes || found == ','))
      break;
    if (found == '"') {
      if (!skip_string())
        return {};
      continue;
    }
    depth += found == '{' || found == '[' ? 1 : 0;
    depth -= closes ? 1 : 0;
    ++at_;
  }
  const auto piece = text_.substr(from, at_ - from);
  return piece.substr(0, piece.find_last_not_of(white_space) + 1);
}

/// Without quotes and escapes; a name that is no string of JSON stays as it is.
std::string name_of(std::string_view written) {
  if (written.find('\\') == std::string_view::npos)
    return std::string{written.substr(1, written.size() - 2)};
  return string_of(written).value_or(std::string{written});
}

/// Most objects have few members: comparing each with each costs less than a sort.
bool differ_in_name(const std::vector<member>& few) {
  for (auto each = few.begin(); each != few.end(); ++each)
    if (std::any_of(few.begin(), each, [&](const member& m) { return m.name == each->name; }))
      return false;
  return true;
}

/// Sorting keeps this in bounds when a body has a million members.
std::vector<member> without_duplicates(std::vector<member> all) {
  constexpr std::size_t few_max = 8;
  if (all.size() <= few_max && differ_in_name(all))
    return all;
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto difference = all[a].name.compare(all[b].name);
    return difference != 0 ? difference < 0 : a < b;
  });
  std::vector<bool> gone(all.size());
  bool any_gone = false;
  for (std::size_t n = 1, first = 0; n < order.size(); ++n) {
    if (all[order[n]].name == all[order[first]].name) {
      all[order[first]].value = all[order[n]].value;
      gone[order[n]] = any_gone = true;
    } else {
      first = n;
    }
  }
  if (!any_gone)
    return all;
  std::vector<member> kept;
  for (std::size_t n = 0; n < all.size(); ++n)
    if (!gone[n])
      kept.push_back(std::move(all[n]));
  return kept;
}

/// All members as they stand, those of one name, too.
std::optional<std::vector<member>> all_members_of(std::string_view object) {
  scanner text{object};
  std::vector<member> members;
  members.reserve(4);
  if (!text.take('{'))
    return std::nullopt;
  if (text.take('}'))
    return text.at_end() ? std::optional{members} : std::nullopt;
  do {
    const auto name = text.string();
    if (name.empty() || !text.take(':'))
      return std::nullopt;
    const auto value = text.value();
    if (value.empty())
      return std::nullopt;
    members.push_back({name_of(name), value});
  } while (text.take(','));
  if (!text.take('}') || !text.at_end())
    return std::nullopt;
  return members;
}

} // namespace

std::optional<std::vector<member>> members_of(std::string_view object) {
  auto members = all_members_of(object);
  return members ? std::optional{without_duplicates(std::move(*members))} : std::nullopt;
}

bool repeats_members(std::string_view object) {
  const auto members = all_members_of(object);
  return members && without_duplicates(*members).size() != members->size();
}

std::optional<std::vector<std::string_view>> elements_of(std::string_view array) {
  scanner text{array};
  std::vector<std::string_view> elements;
  if (!text.take('['))
    return std::nullopt;
  if (text.take(']'))
    return text.at_end() ? std::optional{elements} : std::nullopt;
  do {
    const auto value = text.value();
    if (value.empty())
      return std::nullopt;
    elements.push_back(value);
  } while (text.take(','));
  return text.take(']') && text.at_end() ? std::optional{std::move(elements)} : std::nullopt;
}

std::string object_of(const std::vector<member>& members) {
  std::string out;
  for (const auto& each : members) {
    out += out.empty() ? '{' : ',';
    out += quoted(each.name);
    out += ':';
    out += each.value;
  }
  return out.empty() ? out : out + '}';
}

std::string object_without(std::string_view object, std::initializer_list<std::string_view> names) {
  auto members = members_of(object).value_or(std::vector<member>{});
  std::erase_if(members, [&](const member& each) {
    return std::find(names.begin(), names.end(), each.name) != names.end();
  });
  return object_of(members);
}

std::string object_with(std::string_view object, std::string_view name, std::string_view value) {
  const auto members = members_of(object);
  return members ? object_with(object, *members, {{std::string{name}, value}})
                 : std::string{object};
}

std::string object_with(std::string_view object, const std::vector<member>& members,
                        const std::vector<member>& wanted) {
  struct change {
    std::string_view old;
    std::string_view fresh;
  };
  std::vector<change> changes;
  std::string added;
  for (const auto& each : wanted) {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const member& there) { return there.name == each.name; });
    if (found != members.end()) {
      changes.push_back({found->value, each.value});
      continue;
    }
    added += members.empty() && added.empty() ? "" : ",";
    added.append(quoted(each.name)).append(":").append(each.value);
  }
  std::sort(changes.begin(), changes.end(),
            [](const change& a, const change& b) { return a.old.data() < b.old.data(); });
  std::string out;
  out.reserve(object.size() + added.size() + 64);
  auto from = object.begin();
  for (const auto& each : changes) {
    const auto at = object.begin() + (each.old.data() - object.data());
    out.append(from, at).append(each.fresh);
    from = at + static_cast<std::ptrdiff_t>(each.old.size());
  }
  out.append(from, object.end());
  return added.empty() ? out : out.insert(out.rfind('}'), added);
}

} // namespace skep::json
