#include "apis/chat/merged_object.hpp"

#include "runtime/base/text.hpp"
#include "runtime/json/object.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace skep::actors {

namespace {

// Messages have about ten members; what is beyond is no message.
constexpr std::size_t members_max = 64;
// Objects are merged so deep; what is deeper is replaced. Each level reads its text once more.
constexpr std::size_t depth_max = 6;
// Of a member or an entry: its node, its place in a table, their allocations.
constexpr std::size_t node_bytes = 192;

/// Strings that name something: some servers repeat them with every piece.
bool is_label(std::string_view name) {
  constexpr std::array labels{"id", "type", "name", "role"};
  return std::find(labels.begin(), labels.end(), name) != labels.end();
}

bool is_indexed(std::string_view name) {
  return name == "thinking_blocks";
}

bool is_between(std::string_view value, char first, char last) {
  return value.size() >= 2 && value.front() == first && value.back() == last;
}

/// What stands between the brackets, without spaces at its ends.
std::string_view inside(std::string_view value) {
  return trimmed(value.substr(1, value.size() - 2), white_space);
}

bool says_nothing(std::string_view value) {
  if (value.empty() || value == "null" || value == "\"\"")
    return true;
  return (is_between(value, '{', '}') || is_between(value, '[', ']')) && inside(value).empty();
}

} // namespace

/// An object: its members in the order in which they came first.
struct merged_object::node {
  enum class kind : std::uint8_t { nothing, plain, text, list, object, entries };

  /// One member's value. `raw` is its text, of strings and lists without the mark that closes them,
  /// so that they grow at their end.
  struct value {
    kind is = kind::nothing;
    std::string raw;
    std::unique_ptr<node> object;
    std::map<std::uint64_t, node> entries;
    std::uint64_t entry = 0; // The one that a piece without an index goes on with.

    bool add(std::string_view name, std::string_view piece, std::size_t depth, std::size_t& bytes);
    bool add_entries(std::string_view list, std::size_t depth, std::size_t& bytes);
    std::uint64_t key_of(std::string_view piece) const;
    void append(std::string_view more, std::size_t& bytes);
    void become(kind wanted, std::size_t& bytes);
    void write(std::string& out) const;
    std::size_t size() const;
  };

  value* find(std::string_view name);
  value* at(std::string_view name, std::size_t& bytes);
  bool add_all(std::string_view object, std::size_t depth, std::size_t& bytes,
               std::string_view but = {});
  void write(std::string& out) const;
  std::size_t size() const;

  std::vector<std::pair<std::string, value>> members;
};

// -- values ---------------------------------------------------------------------------------------

std::size_t merged_object::node::value::size() const {
  std::size_t sum = raw.size() + (object ? object->size() : 0);
  for (const auto& [key, each] : entries)
    sum += node_bytes + each.size();
  return sum;
}

void merged_object::node::value::become(kind wanted, std::size_t& bytes) {
  if (is == wanted)
    return;
  bytes -= size();
  is = wanted;
  raw.clear();
  object.reset();
  entries.clear();
}

void merged_object::node::value::append(std::string_view more, std::size_t& bytes) {
  raw += more;
  bytes += more.size();
}

bool merged_object::node::value::add(std::string_view name, std::string_view piece,
                                     std::size_t depth, std::size_t& bytes) {
  if (piece == "null" || (is != kind::nothing && says_nothing(piece)))
    return true;
  if (is_between(piece, '"', '"')) {
    if (is == kind::text && is_label(name) && raw.size() > 1)
      return true;
    become(kind::text, bytes);
    piece.remove_suffix(1);
    append(raw.empty() ? piece : piece.substr(1), bytes);
    return true;
  }
  if (is_between(piece, '[', ']')) {
    if (depth == 0 && is_indexed(name)) {
      become(kind::entries, bytes);
      return add_entries(piece, depth, bytes);
    }
    become(kind::list, bytes);
    append(raw.empty() ? "[" : raw.size() > 1 ? "," : "", bytes);
    append(inside(piece), bytes);
    return true;
  }
  if (is_between(piece, '{', '}') && depth < depth_max) {
    become(kind::object, bytes);
    if (!object)
      object = std::make_unique<node>();
    return object->add_all(piece, depth + 1, bytes);
  }
  become(kind::plain, bytes);
  bytes += piece.size();
  bytes -= raw.size();
  raw = piece;
  return true;
}

/// Which entry a piece is of: its index; without one an id that is new begins the next.
std::uint64_t merged_object::node::value::key_of(std::string_view piece) const {
  const json::object given{piece};
  if (given.has("index"))
    return given.count("index");
  if (entries.empty())
    return 0;
  const auto id = given.at("id");
  std::string known;
  for (const auto& [name, each] : entries.at(entry).members)
    if (name == "id")
      each.write(known);
  return says_nothing(id) || id == known ? entry : entries.rbegin()->first + 1;
}

bool merged_object::node::value::add_entries(std::string_view list, std::size_t depth,
                                             std::size_t& bytes) {
  for (const auto each : json::elements_of(list).value_or(std::vector<std::string_view>{})) {
    if (!is_between(each, '{', '}'))
      continue;
    entry = key_of(each);
    const auto [at, fresh] = entries.try_emplace(entry);
    bytes += fresh ? node_bytes : 0;
    if (!at->second.add_all(each, depth + 1, bytes, "index"))
      return false;
  }
  return true;
}

void merged_object::node::value::write(std::string& out) const {
  switch (is) {
    case kind::nothing: out += "null"; return;
    case kind::plain: out += raw; return;
    case kind::text: out.append(raw) += '"'; return;
    case kind::list: out.append(raw) += ']'; return;
    case kind::object: object->write(out); return;
    case kind::entries: break;
  }
  char mark = '[';
  for (const auto& [key, each] : entries) {
    out += std::exchange(mark, ',');
    each.write(out);
  }
  out += entries.empty() ? "[]" : "]";
}

// -- objects --------------------------------------------------------------------------------------

std::size_t merged_object::node::size() const {
  std::size_t sum = 0;
  for (const auto& [name, each] : members)
    sum += node_bytes + name.size() + each.size();
  return sum;
}

merged_object::node::value* merged_object::node::find(std::string_view name) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [name](const auto& each) { return each.first == name; });
  return found == members.end() ? nullptr : &found->second;
}

/// The member of this name, made if need be; null when there are too many.
merged_object::node::value* merged_object::node::at(std::string_view name, std::size_t& bytes) {
  if (auto* known = find(name))
    return known;
  if (members.size() == members_max)
    return nullptr;
  bytes += node_bytes + name.size();
  return &members.emplace_back(std::string{name}, value{}).second;
}

bool merged_object::node::add_all(std::string_view object, std::size_t depth, std::size_t& bytes,
                                  std::string_view but) {
  for (const auto& member : json::members_of(object).value_or(std::vector<json::member>{})) {
    if (member.name == but)
      continue;
    auto* const into = at(member.name, bytes);
    if (into == nullptr || !into->add(member.name, member.value, depth, bytes))
      return false;
  }
  return true;
}

void merged_object::node::write(std::string& out) const {
  char mark = '{';
  for (const auto& [name, each] : members) {
    out += std::exchange(mark, ',');
    out.append(json::quoted(name)) += ':';
    each.write(out);
  }
  out += members.empty() ? "{}" : "}";
}

// -- the whole ------------------------------------------------------------------------------------

merged_object::merged_object() = default;
merged_object::merged_object(merged_object&&) noexcept = default;
merged_object& merged_object::operator=(merged_object&&) noexcept = default;
merged_object::~merged_object() = default;

bool merged_object::add(std::string_view object) {
  if (object.empty())
    return true;
  if (!root_)
    root_ = std::make_unique<node>();
  return root_->add_all(object, 0, bytes_);
}

bool merged_object::add_last(std::string_view object) {
  if (object.empty())
    return true;
  if (!root_)
    root_ = std::make_unique<node>();
  for (const auto& member : json::members_of(object).value_or(std::vector<json::member>{})) {
    auto* const into = root_->at(member.name, bytes_);
    if (into == nullptr)
      return false;
    const bool counts = member.value == "\"\"" || !says_nothing(member.value);
    if (member.name != "logprobs" && counts)
      into->become(node::kind::nothing, bytes_);
    if (!into->add(member.name, member.value, 0, bytes_))
      return false;
  }
  return true;
}

bool merged_object::has(std::string_view name) const {
  return root_ && root_->find(name) != nullptr;
}

std::string merged_object::text() const {
  std::string out;
  if (root_ && !root_->members.empty())
    root_->write(out);
  return out;
}

} // namespace skep::actors
