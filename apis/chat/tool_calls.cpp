#include "apis/chat/tool_calls.hpp"

#include "runtime/json/object.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

namespace skep::actors {

namespace {

// More calls are nothing a model makes, and such a list is kept as it is: a call takes fifty times
// the memory of the shortest text of one.
constexpr std::size_t calls_max = 4096;

constexpr std::string_view custom_type = "custom";

/// How the API spells a call of one type: the member that describes it, and the arguments in there.
struct spelling {
  std::string_view body;
  std::string_view arguments;
};

spelling spelling_of(bool custom) {
  return custom ? spelling{custom_type, "input"} : spelling{"function", "arguments"};
}

using members = std::vector<json::member>;

members members_in(std::string_view object) {
  return object.empty() ? members{} : json::members_of(object).value_or(members{});
}

std::string_view value_of(const members& in, std::string_view name) {
  const auto found = std::find_if(in.begin(), in.end(),
                                  [name](const json::member& each) { return each.name == name; });
  return found == in.end() ? std::string_view{} : found->value;
}

// -- reading --------------------------------------------------------------------------------------

/// Takes a text that says something; false when the value is none.
bool take_text(std::string_view value, std::string& into) {
  if (auto text = json::string_of(value))
    into = std::move(*text);
  return !into.empty();
}

bool take_arguments(std::string_view value, std::string& into) {
  if (!value.starts_with('{'))
    return take_text(value, into);
  into = value;
  return true;
}

/// Takes name and arguments; what is left of the object for `extra`.
std::string take_body(std::string_view value, const spelling& as, msg::tool_call& call) {
  json::object_writer others;
  for (const auto& member : members_in(value)) {
    const bool taken = member.name == "name"         ? take_text(member.value, call.name)
                       : member.name == as.arguments ? take_arguments(member.value, call.arguments)
                                                     : false;
    // Empty arguments behind a name are what is written for none.
    const bool implied = member.name == as.arguments && member.value == R"("")";
    if (!taken && !implied)
      others.raw(member.name, member.value);
  }
  if (call.name.empty() && call.arguments.empty())
    return std::string{value};
  return others.object_or_nothing();
}

msg::tool_call read_call(const members& from, bool numbered) {
  msg::tool_call call;
  const auto function = value_of(from, spelling_of(false).body);
  const bool custom
    = (function.empty() || function == "null") && value_of(from, custom_type).starts_with('{');
  const auto as = spelling_of(custom);
  json::object_writer extra;
  for (const auto& member : from) {
    if ((member.name == "id" && take_text(member.value, call.id))
        || (member.name == "type" && take_text(member.value, call.type))
        || (member.name == "index" && numbered))
      continue;
    if (member.name == as.body && member.value.starts_with('{'))
      extra.raw(member.name, take_body(member.value, as, call));
    else
      extra.raw(member.name, member.value);
  }
  if (custom && call.type.empty())
    call.type = custom_type; // Pieces behind the first do not say it again.
  call.extra = extra.object_or_nothing();
  return call;
}

/// The elements of a list of objects; none when other things stand in it, or too many.
std::vector<std::string_view> objects_in(std::string_view list) {
  auto elements = json::elements_of(list).value_or(std::vector<std::string_view>{});
  const bool all = elements.size() <= calls_max
                   && std::all_of(elements.begin(), elements.end(),
                                  [](std::string_view each) { return each.starts_with('{'); });
  return all ? std::move(elements) : std::vector<std::string_view>{};
}

/// Nothing where it is left out, null or no number.
std::optional<std::uint32_t> index_in(const members& piece) {
  constexpr std::uint64_t index_max = std::numeric_limits<std::uint32_t>::max() - 1;
  const auto value = value_of(piece, "index");
  if (value.empty() || value.front() < '0' || value.front() > '9')
    return std::nullopt;
  return static_cast<std::uint32_t>(std::min(json::object{piece}.count("index"), index_max));
}

// -- writing --------------------------------------------------------------------------------------

/// Writes an object at the end of a text, member by member.
class appended_object {
public:
  explicit appended_object(std::string& out) : out_(out), from_(out.size()) {}

  /// The text, to which the value of a member of ours is to be appended.
  std::string& value_of(std::string_view name) {
    begin();
    out_.append(name);
    return out_ += "\":";
  }
  void text(std::string_view name, std::string_view value) {
    json::append_quoted(value_of(name), value);
  }
  /// A member as it came.
  void raw(const json::member& given) {
    begin();
    out_.pop_back();
    json::append_quoted(out_, given.name);
    out_.append(":").append(given.value);
  }
  void end() {
    out_ += out_.size() == from_ ? "{}" : "}";
  }

private:
  void begin() {
    out_ += out_.size() == from_ ? "{\"" : ",\"";
  }

  std::string& out_;
  const std::size_t from_;
};

void append_body(std::string& out, const msg::tool_call& call, const spelling& as,
                 std::string_view others) {
  appended_object body{out};
  if (!call.name.empty())
    body.text("name", call.name);
  body.text(as.arguments, call.arguments);
  for (const auto& member : members_in(others))
    if (member.name != as.arguments && (member.name != "name" || call.name.empty()))
      body.raw(member);
  body.end();
}

void append_call(std::string& out, const msg::tool_call& call, bool numbered) {
  const auto as = spelling_of(call.type == custom_type);
  const auto extra = members_in(call.extra);
  const bool has_body = !call.name.empty() || !call.arguments.empty();
  appended_object made{out};
  if (numbered)
    made.value_of("index") += std::to_string(call.index);
  if (!call.id.empty())
    made.text("id", call.id);
  if (!call.type.empty())
    made.text("type", call.type);
  if (has_body)
    append_body(made.value_of(as.body), call, as, value_of(extra, as.body));
  const auto is_written = [&](std::string_view name) {
    return (name == "index" && numbered) || (name == "id" && !call.id.empty())
           || (name == "type" && !call.type.empty()) || (name == as.body && has_body);
  };
  for (const auto& member : extra)
    if (!is_written(member.name))
      made.raw(member);
  made.end();
}

void append_list(std::string& out, const std::vector<msg::tool_call>& calls, bool numbered) {
  char mark = '[';
  for (const auto& call : calls) {
    out += std::exchange(mark, ',');
    append_call(out, call, numbered);
  }
  out += calls.empty() ? "[]" : "]";
}

} // namespace

std::vector<msg::tool_call> read_tool_calls(std::string_view list) {
  std::vector<msg::tool_call> calls;
  if (list.empty())
    return calls;
  const auto objects = objects_in(list);
  calls.reserve(objects.size());
  for (const auto each : objects) {
    calls.push_back(read_call(members_in(each), false));
    calls.back().index = static_cast<std::uint32_t>(calls.size() - 1);
  }
  return calls;
}

std::uint32_t tool_call_reader::place_of(const msg::tool_call& piece, bool first) const {
  const bool named
    = !piece.name.empty() && (!first || (last_id_.empty() && piece.name != last_name_));
  const bool begins = piece.id.empty() ? named : piece.id != last_id_;
  return begins || next_ == 0 ? next_ : last_;
}

std::uint32_t tool_call_reader::place_at(std::uint32_t index, const msg::tool_call& piece) const {
  if (next_ == 0 || index != given_)
    return index;
  const bool other = !last_id_.empty() && !piece.id.empty() && piece.id != last_id_;
  return other && !piece.name.empty() ? next_ : last_;
}

std::vector<msg::tool_call> tool_call_reader::read(std::string_view list) {
  std::vector<msg::tool_call> pieces;
  for (const auto each : objects_in(list)) {
    const auto given = members_in(each);
    const auto index = index_in(given);
    auto piece = read_call(given, true);
    piece.index = index ? place_at(*index, piece) : place_of(piece, pieces.empty());
    given_ = index.value_or(piece.index);
    if (piece.index != last_ || next_ == 0)
      last_id_.clear();
    if (!piece.id.empty())
      last_id_ = piece.id;
    if (!piece.name.empty())
      last_name_ = piece.name;
    last_ = piece.index;
    next_ = std::max(next_, last_ + 1);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

void append_tool_calls(std::string& out, const std::vector<msg::tool_call>& calls) {
  append_list(out, calls, false);
}

void append_tool_call_pieces(std::string& out, const std::vector<msg::tool_call>& pieces) {
  append_list(out, pieces, true);
}

msg::tool_call function_call(std::uint32_t index, std::string id, std::string name,
                             std::string arguments) {
  return {index, std::move(id), "function", std::move(name), std::move(arguments), {}};
}

std::size_t text_bytes_of(const std::vector<msg::tool_call>& calls) {
  std::size_t bytes = 0;
  for (const auto& each : calls)
    bytes += each.id.size() + each.type.size() + each.name.size() + each.arguments.size()
             + each.extra.size();
  return bytes;
}

std::string call_ids::unique(std::string id, const std::string& prefix, std::uint64_t number) {
  while (id.empty() || !used_.insert(id).second)
    id = prefix + std::to_string(number++);
  return id;
}

} // namespace skep::actors
