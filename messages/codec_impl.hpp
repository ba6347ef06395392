#pragma once

// tidy: allow size, templates for every shape of field

// The codec's templates; heavy, so only for the files that instantiate them with SKEP_CODEC.
#include "messages/codec.hpp"
#include "messages/ids.hpp"
#include "messages/msgpack_reader.hpp"
#include "messages/shared_list.hpp"

#include <msgpack.hpp>

#include <array>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>
#include <vector>

namespace skep::detail {

/// msgpack-c's packer writes through this.
struct string_sink {
  std::string& out;
  void write(const char* data, std::size_t size) {
    out.append(data, size);
  }
};
using packer = msgpack::packer<string_sink>;

template <class T>
concept integer = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// How one field type stands on the wire. One specialisation per shape.
template <class T>
struct field_codec;

template <record T>
void pack_record(packer& to, const T& value) {
  std::apply(
    [&to](const auto&... field) {
      to.pack_array(static_cast<std::uint32_t>(sizeof...(field)));
      (field_codec<std::remove_cvref_t<decltype(field)>>::pack(to, field), ...);
    },
    value.fields());
}

/// The name of field n in a comma-separated list.
std::string field_name(std::string_view list, std::size_t n);

template <record T>
bool unpack_record(msgpack_reader& from, T& value) {
  const auto count = from.array();
  if (!count || !from.enter())
    return false;
  std::size_t index = 0;
  const auto one = [&](auto& field) {
    if (index >= *count)
      return true; // An older peer: the rest keep their defaults.
    if (!field_codec<std::remove_cvref_t<decltype(field)>>::unpack(from, field)) {
      from.located(field_name(T::field_list, index));
      return false;
    }
    ++index;
    return true;
  };
  const bool fine = std::apply([&](auto&... field) { return (one(field) && ...); }, value.fields());
  for (; fine && index < *count; ++index)
    if (!from.skip())
      return false;
  from.leave();
  return fine;
}

template <record T>
struct field_codec<T> {
  static void pack(packer& to, const T& value) {
    pack_record(to, value);
  }
  static bool unpack(msgpack_reader& from, T& value) {
    return unpack_record(from, value);
  }
};

template <>
struct field_codec<bool> {
  static void pack(packer& to, bool value) {
    to.pack(value);
  }
  static bool unpack(msgpack_reader& from, bool& value) {
    const auto read = from.boolean();
    value = read.value_or(false);
    return read.has_value();
  }
};

template <integer T>
struct field_codec<T> {
  static void pack(packer& to, T value) {
    if constexpr (std::is_signed_v<T>)
      to.pack_int64(value);
    else
      to.pack_uint64(value);
  }
  static bool unpack(msgpack_reader& from, T& value) {
    if constexpr (std::is_signed_v<T>)
      return fits(from, from.signed_integer(), value);
    else
      return fits(from, from.unsigned_integer(), value);
  }

private:
  template <class Wide>
  static bool fits(msgpack_reader& from, std::optional<Wide> read, T& value) {
    if (!read)
      return false;
    if (*read < std::numeric_limits<T>::min() || *read > std::numeric_limits<T>::max()) {
      from.fail(errc::malformed, std::to_string(*read) + " does not fit");
      return false;
    }
    value = static_cast<T>(*read);
    return true;
  }
};

template <>
struct field_codec<double> {
  static void pack(packer& to, double value) {
    to.pack(value);
  }
  static bool unpack(msgpack_reader& from, double& value) {
    const auto read = from.real();
    value = read.value_or(0);
    return read.has_value();
  }
};

template <>
struct field_codec<std::string> {
  static void pack(packer& to, const std::string& value) {
    to.pack_str(static_cast<std::uint32_t>(value.size()));
    to.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  }
  static bool unpack(msgpack_reader& from, std::string& value) {
    const auto read = from.text();
    if (read)
      value.assign(*read);
    return read.has_value();
  }
};

template <>
struct field_codec<std::vector<std::uint8_t>> {
  static void pack(packer& to, const std::vector<std::uint8_t>& value) {
    to.pack_bin(static_cast<std::uint32_t>(value.size()));
    to.pack_bin_body(reinterpret_cast<const char*>(value.data()),
                     static_cast<std::uint32_t>(value.size()));
  }
  static bool unpack(msgpack_reader& from, std::vector<std::uint8_t>& value) {
    const auto read = from.binary();
    if (read)
      value.assign(read->begin(), read->end());
    return read.has_value();
  }
};

template <class T>
struct field_codec<std::vector<T>> {
  static void pack(packer& to, const std::vector<T>& value) {
    to.pack_array(static_cast<std::uint32_t>(value.size()));
    for (const auto& item : value)
      field_codec<T>::pack(to, item);
  }
  static bool unpack(msgpack_reader& from, std::vector<T>& value) {
    const auto count = from.array();
    if (!count || !from.enter())
      return false;
    value.clear();
    // Grows as elements prove to be there, so that a header alone allocates nothing.
    for (std::uint32_t index = 0; index < *count; ++index) {
      if (!field_codec<T>::unpack(from, value.emplace_back())) {
        from.located("[" + std::to_string(index) + "]");
        return false;
      }
    }
    from.leave();
    return true;
  }
};

template <class T>
struct field_codec<shared_list<T>> {
  static void pack(packer& to, const shared_list<T>& value) {
    field_codec<std::vector<T>>::pack(to, value.get());
  }
  static bool unpack(msgpack_reader& from, shared_list<T>& value) {
    std::vector<T> items;
    const bool fine = field_codec<std::vector<T>>::unpack(from, items);
    value = std::move(items);
    return fine;
  }
};

template <class T>
struct field_codec<std::optional<T>> {
  static void pack(packer& to, const std::optional<T>& value) {
    if (value)
      field_codec<T>::pack(to, *value);
    else
      to.pack_nil();
  }
  static bool unpack(msgpack_reader& from, std::optional<T>& value) {
    value.reset();
    return from.nil() || field_codec<T>::unpack(from, value.emplace());
  }
};

template <class T>
struct field_codec<std::map<std::string, T>> {
  static void pack(packer& to, const std::map<std::string, T>& value) {
    to.pack_map(static_cast<std::uint32_t>(value.size()));
    for (const auto& [key, item] : value) {
      field_codec<std::string>::pack(to, key);
      field_codec<T>::pack(to, item);
    }
  }
  static bool unpack(msgpack_reader& from, std::map<std::string, T>& value) {
    const auto count = from.map();
    if (!count || !from.enter())
      return false;
    value.clear();
    for (std::uint32_t left = *count; left > 0; --left) {
      std::string key;
      if (!field_codec<std::string>::unpack(from, key)
          || !field_codec<T>::unpack(from, value[std::move(key)]))
        return false;
    }
    from.leave();
    return true;
  }
};

template <class T>
requires std::is_enum_v<T>
struct field_codec<T> {
  using number = std::underlying_type_t<T>;
  static void pack(packer& to, T value) {
    field_codec<number>::pack(to, static_cast<number>(value));
  }
  static bool unpack(msgpack_reader& from, T& value) {
    number read{};
    const bool fine = field_codec<number>::unpack(from, read);
    value = static_cast<T>(read);
    return fine;
  }
};

template <class Tag, class Rep>
struct field_codec<strong<Tag, Rep>> {
  static void pack(packer& to, strong<Tag, Rep> value) {
    field_codec<Rep>::pack(to, value.value());
  }
  static bool unpack(msgpack_reader& from, strong<Tag, Rep>& value) {
    Rep read{};
    const bool fine = field_codec<Rep>::unpack(from, read);
    value = strong<Tag, Rep>{read};
    return fine;
  }
};

template <std::size_t N>
struct field_codec<std::array<std::uint8_t, N>> {
  static void pack(packer& to, const std::array<std::uint8_t, N>& value) {
    to.pack_bin(N);
    to.pack_bin_body(reinterpret_cast<const char*>(value.data()), N);
  }
  static bool unpack(msgpack_reader& from, std::array<std::uint8_t, N>& value) {
    const auto read = from.binary();
    if (!read)
      return false;
    if (read->size() != N) {
      from.fail(errc::malformed, "expected " + std::to_string(N) + " bytes");
      return false;
    }
    std::copy(read->begin(), read->end(), value.begin());
    return true;
  }
};

} // namespace skep::detail

namespace skep {

template <message T>
void encode(const T& value, std::string& out) {
  detail::string_sink sink{out};
  detail::packer to{sink};
  detail::pack_record(to, value);
}

template <message T>
tl::expected<T, failure> decode(std::string_view bytes, const decode_limits& limits) {
  msgpack_reader from{bytes, limits};
  T value;
  if (!from.failed() && detail::unpack_record(from, value) && !from.at_end())
    from.fail(errc::malformed, "bytes follow the message");
  if (!from.failed())
    return value;
  from.located(message_name<T>());
  return tl::make_unexpected(from.why());
}

} // namespace skep

/// Compiles the codec of one message here; at namespace skep.
#define SKEP_CODEC(type)                                                                           \
  template void encode<type>(const type&, std::string&);                                           \
  template tl::expected<type, failure> decode<type>(std::string_view, const decode_limits&);
