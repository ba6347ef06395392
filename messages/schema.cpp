#include "messages/schema.hpp"

#include "messages/families.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <type_traits>

namespace skep {

namespace {

using found_types = std::map<std::string, message_schema>;

template <class T>
void describe(found_types& into);

template <class T>
struct shape {
  static std::string name(found_types& found) {
    if constexpr (record<T>) {
      describe<T>(found);
      return std::string{message_name<T>()};
    } else if constexpr (std::is_same_v<T, bool>) {
      return "bool";
    } else if constexpr (std::is_floating_point_v<T>) {
      return "f64";
    } else {
      static_assert(std::is_integral_v<T>, "a field type the schema has no name for");
      return (std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(T));
    }
  }
};

template <>
struct shape<std::string> {
  static std::string name(found_types&) {
    return "str";
  }
};

template <class T>
struct shape<std::vector<T>> {
  static std::string name(found_types& found) {
    return "[" + shape<T>::name(found) + "]";
  }
};

template <class T>
struct shape<shared_list<T>> : shape<std::vector<T>> {};

template <class T>
struct shape<std::optional<T>> {
  static std::string name(found_types& found) {
    return shape<T>::name(found) + "?";
  }
};

std::vector<std::string> names_of(std::string_view list) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : list) {
    if (c == ',')
      names.push_back(std::exchange(name, {}));
    else if (c != ' ')
      name += c;
  }
  if (!name.empty())
    names.push_back(name);
  return names;
}

template <class T>
void describe(found_types& into) {
  message_schema made;
  made.name = message_name<T>();
  if constexpr (message<T>) {
    made.tag = T::message_tag;
    made.version = T::message_version;
  }
  const auto names = names_of(T::field_list);
  std::size_t index = 0;
  const T value;
  std::apply(
    [&](const auto&... field) {
      (made.fields.push_back(
         {names[index++], shape<std::remove_cvref_t<decltype(field)>>::name(into)}),
       ...);
    },
    value.fields());
  into.insert_or_assign(made.name, std::move(made));
}

template <class... Ts>
void describe_all(found_types& into, type_list<Ts...>) {
  (describe<Ts>(into), ...);
}

} // namespace

std::vector<message_schema> built_in_schema() {
  found_types found;
  describe_all(found, all_messages{});
  std::vector<message_schema> all;
  for (auto& [name, schema] : found)
    all.push_back(std::move(schema));
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.tag < b.tag; });
  return all;
}

std::string schema_json(const std::vector<message_schema>& schema) {
  // Names are identifiers, so nothing needs escaping.
  std::string out = "{\n  \"messages\": [";
  bool first = true;
  for (const auto& each : schema) {
    char tag[16];
    std::snprintf(tag, sizeof(tag), "0x%08x", each.tag);
    out += std::exchange(first, false) ? "\n" : ",\n";
    out += "    {\"name\": \"" + each.name + "\", \"tag\": \"" + tag
           + "\", \"version\": " + std::to_string(each.version) + ", \"fields\": [";
    for (std::size_t n = 0; n < each.fields.size(); ++n)
      out += (n == 0 ? "[\"" : ", [\"") + each.fields[n].name + "\", \"" + each.fields[n].type
             + "\"]";
    out += "]}";
  }
  return out + "\n  ]\n}\n";
}

} // namespace skep
