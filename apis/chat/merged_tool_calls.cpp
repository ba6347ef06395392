#include "apis/chat/merged_tool_calls.hpp"

#include <utility>

namespace skep::actors {

namespace {

// Of a call: its node and the allocations of its texts.
constexpr std::size_t call_bytes = 384;

/// Some servers repeat with every piece what names the call.
void name_once(std::string& into, const std::string& said, std::size_t& bytes) {
  if (!into.empty())
    return;
  into = said;
  bytes += said.size();
}

} // namespace

bool merged_tool_calls::add(const msg::tool_call& piece) {
  const auto [at, fresh] = calls_.try_emplace(piece.index);
  bytes_ += fresh ? call_bytes : 0;
  auto& [call, extra] = at->second;
  name_once(call.id, piece.id, bytes_);
  name_once(call.type, piece.type, bytes_);
  name_once(call.name, piece.name, bytes_);
  call.arguments += piece.arguments;
  bytes_ += piece.arguments.size();
  const auto before = extra.bytes();
  const bool fits = extra.add(piece.extra);
  bytes_ += extra.bytes() - before;
  return fits;
}

std::vector<msg::tool_call> merged_tool_calls::take() {
  std::vector<msg::tool_call> whole;
  whole.reserve(calls_.size());
  for (auto& [index, each] : calls_) {
    each.call.index = static_cast<std::uint32_t>(whole.size());
    each.call.extra = each.extra.text();
    whole.push_back(std::move(each.call));
  }
  calls_.clear();
  bytes_ = 0;
  return whole;
}

} // namespace skep::actors
