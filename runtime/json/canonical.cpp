#include "runtime/json/canonical.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

namespace skep::json {

namespace {

using nlohmann::json;

/// Writes what the parser reports: a letter for the kind, a length where it varies, the bytes. The
/// members of an object are sorted when it ends.
class canonical_writer {
public:
  using string_t = json::string_t;

  bool null() {
    out_ += 'n';
    return true;
  }
  bool boolean(bool value) {
    out_ += value ? 't' : 'f';
    return true;
  }
  bool number_integer(std::int64_t value) {
    return number('i', static_cast<std::uint64_t>(value));
  }
  bool number_unsigned(std::uint64_t value) {
    return number('u', value);
  }
  bool number_float(double, const string_t& written) {
    return text('d', written);
  }
  bool string(const string_t& value) {
    return text('s', value);
  }
  bool binary(const json::binary_t&) {
    return false; // Not in JSON.
  }
  bool start_object(std::size_t) {
    out_ += '{';
    objects_.push_back({out_.size(), members_.size()});
    return true;
  }
  bool key(const string_t& name) {
    members_.push_back({out_.size(), name.size()});
    return text('k', name);
  }
  bool end_object() {
    const auto ended = objects_.back();
    objects_.pop_back();
    sort_members(ended);
    out_ += '}';
    return true;
  }
  bool start_array(std::size_t) {
    out_ += '[';
    return true;
  }
  bool end_array() {
    out_ += ']';
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) {
    return false;
  }

  std::string take() {
    return std::move(out_);
  }

private:
  struct open_object {
    std::size_t body;         // Where its members begin in out_.
    std::size_t first_member; // In members_.
  };
  struct member {
    std::size_t at; // In out_.
    std::size_t name_size;
    std::size_t end = 0;
  };
  /// A kind and a length stand before a name.
  static constexpr std::size_t name_offset = 1 + sizeof(std::uint64_t);

  bool number(char kind, std::uint64_t value) {
    static_assert(std::endian::native == std::endian::little, "the form is the same on every node");
    out_ += kind;
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return true;
  }
  bool text(char kind, std::string_view bytes) {
    number(kind, bytes.size());
    out_ += bytes;
    return true;
  }
  std::string_view name_of(const member& each) const {
    return std::string_view{out_}.substr(each.at + name_offset, each.name_size);
  }
  void sort_members(const open_object& ended);

  std::string out_;
  std::vector<open_object> objects_;
  std::vector<member> members_; // Of all open objects.
  std::string sorted_;
};

void canonical_writer::sort_members(const open_object& ended) {
  const auto first = members_.begin() + static_cast<std::ptrdiff_t>(ended.first_member);
  const auto before = [this](const member& a, const member& b) { return name_of(a) < name_of(b); };
  const auto in_order = [&](const member& a, const member& b) { return !before(a, b); };
  // Most objects come as they will be: nothing moves.
  if (std::adjacent_find(first, members_.end(), in_order) != members_.end()) {
    for (auto each = first; each != members_.end(); ++each)
      each->end = each + 1 != members_.end() ? (each + 1)->at : out_.size();
    std::stable_sort(first, members_.end(), before);
    sorted_.clear();
    for (auto each = first; each != members_.end(); ++each)
      if (each + 1 == members_.end() || before(*each, *(each + 1)))
        sorted_.append(out_, each->at, each->end - each->at);
    out_.replace(ended.body, std::string::npos, sorted_);
  }
  members_.erase(first, members_.end());
}

} // namespace

std::optional<std::string> canonical_form(std::string_view text) {
  // The parser takes a NUL for the end of the text.
  if (text.find('\0') != std::string_view::npos)
    return std::nullopt;
  canonical_writer writer;
  if (!json::sax_parse(text.begin(), text.end(), &writer))
    return std::nullopt;
  return writer.take();
}

} // namespace skep::json
