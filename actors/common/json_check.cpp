#include "actors/common/json_check.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

namespace skep::actors {

namespace {

using nlohmann::json;

/// Counts what the parser reports and stops it at a bound. nlohmann's own hook, the callback of
/// json::parse(), is no place for this: with it every end of an object searches the object's parent
/// from its beginning.
class bounds_check {
public:
  using string_t = json::string_t;

  bool null() {
    return element();
  }
  bool boolean(bool) {
    return element();
  }
  bool number_integer(std::int64_t) {
    return true;
  }
  bool number_unsigned(std::uint64_t) {
    return true;
  }
  bool number_float(double, const string_t&) {
    return true;
  }
  bool string(const string_t&) {
    return element();
  }
  bool binary(const json::binary_t&) {
    return true;
  }
  bool start_object(std::size_t) {
    return opened();
  }
  bool key(const string_t&) {
    return element();
  }
  bool end_object() {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) {
    return opened();
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception& what) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: …", without the library's
    // own number.
    const std::string_view text = what.what();
    why_ = failure{errc::bad_request,
                   std::string{text.substr(std::min(text.find("parse error at"), text.size()))}};
    return false;
  }

  const failure& why() const {
    return why_;
  }

private:
  bool element() {
    if (++elements_ <= json_elements_max)
      return true;
    why_ = failure{errc::too_large,
                   "it has more than " + std::to_string(json_elements_max)
                     + " elements: objects, lists, names, texts, true, false and null"};
    return false;
  }
  bool opened() {
    if (++depth_ <= json_depth_max)
      return element();
    why_ = failure{errc::bad_request,
                   "it is nested deeper than " + std::to_string(json_depth_max) + " levels"};
    return false;
  }

  std::size_t depth_ = 0;
  std::size_t elements_ = 0;
  failure why_;
};

} // namespace

expected<void> check_json(std::string_view text) {
  // The parser takes a NUL for the end of the text; behind one there could be anything.
  if (text.find('\0') != std::string_view::npos)
    return fail(errc::bad_request, "it has a NUL byte");
  bounds_check check;
  if (json::sax_parse(text.begin(), text.end(), &check))
    return {};
  return fail(check.why());
}

bool is_sane_json(std::string_view text) {
  return check_json(text).has_value();
}

} // namespace skep::actors
