#include "messages/cache_record.hpp"
#include "messages/codec_impl.hpp"
#include "messages/families.hpp"

namespace skep {

namespace detail {

std::string field_name(std::string_view list, std::size_t n) {
  while (n > 0 && !list.empty()) {
    const auto comma = list.find(',');
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    --n;
  }
  list = list.substr(0, list.find(','));
  list.remove_prefix(std::min(list.find_first_not_of(' '), list.size()));
  return std::string{list};
}

/// The codec of one message. A constant of this type needs both functions, so the compiler writes
/// them into the file that has the constant.
template <message T>
struct codec_of {
  void (*encode)(const T&, std::string&) = &skep::encode<T>;
  tl::expected<T, failure> (*decode)(std::string_view, const decode_limits&) = &skep::decode<T>;
};

template <class List>
struct codecs_of;

template <class... Ts>
struct codecs_of<type_list<Ts...>> : codec_of<Ts>... {};

extern const codecs_of<all_messages> all_codecs;
const codecs_of<all_messages> all_codecs{};

} // namespace detail

SKEP_CODEC(msg::cache_record)

} // namespace skep
