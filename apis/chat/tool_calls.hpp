#pragma once

#include "messages/chat.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// Tool calls as OpenAI's chat completions spell them, both ways. A member that msg::tool_call has a
// field for, but whose value does not fit there (an id that is null, a number or empty), stays in
// `extra` under its own name, so nothing of a call is lost. Arguments that came as an object become
// its text, which is what the API says they are.
namespace skep::actors {

/// The entries of a message's `tool_calls`, each with its place as index; none when the text is no
/// list of objects: then it is no list of calls, and its owner keeps it as it is.
std::vector<msg::tool_call> read_tool_calls(std::string_view list);

/// Reads the pieces of one choice's calls, in the order of its stream, and says which call each
/// belongs to: the one of its `index`, and where there is none, an id begins the next call, and so
/// does another name, or a name behind another piece of the same list. Some servers number all
/// calls 0: another id with a name begins the next call there, too.
class tool_call_reader {
public:
  /// As read_tool_calls().
  std::vector<msg::tool_call> read(std::string_view list);

private:
  std::uint32_t place_of(const msg::tool_call& piece, bool first) const;
  std::uint32_t place_at(std::uint32_t index, const msg::tool_call& piece) const;

  // Of the call that the last piece was of; without an id none came yet.
  std::uint32_t last_ = 0;
  // The index that the last piece had.
  std::uint32_t given_ = 0;
  std::string last_id_;
  std::string last_name_;
  // One above the highest place.
  std::uint32_t next_ = 0;
};

/// Appends the calls of a message as a JSON list.
void append_tool_calls(std::string& out, const std::vector<msg::tool_call>& calls);
/// Appends pieces of calls as the list of a delta, which has their indexes.
void append_tool_call_pieces(std::string& out, const std::vector<msg::tool_call>& pieces);

/// A call of a function.
msg::tool_call function_call(std::uint32_t index, std::string id, std::string name,
                             std::string arguments);

/// Bytes of all texts in calls.
std::size_t text_bytes_of(const std::vector<msg::tool_call>& calls);

/// Gives every call of one answer an id that no other has.
class call_ids {
public:
  /// The id as it came when it is the first of that name, else one made of the `prefix` and the
  /// call's number.
  std::string unique(std::string id, const std::string& prefix, std::uint64_t number);

private:
  std::set<std::string> used_;
};

} // namespace skep::actors
