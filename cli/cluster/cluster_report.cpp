#include "cli/cluster/cluster_report.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace skep::cli::cluster {

namespace {

using nlohmann::json;

/// A peer serves its cache shards as well; so many names are named, the others counted.
constexpr std::size_t names_shown = 4;

template <class T>
void read(const json& from, const char* key, T& into) {
  if (const auto found = from.find(key); found != from.end() && !found->is_null())
    found->get_to(into);
}

/// As text or as a number.
void read_incarnation(const json& from, std::string& into) {
  if (const auto found = from.find("incarnation"); found != from.end())
    into = found->is_string() ? found->get<std::string>() : found->dump();
}

member_row read_member(const json& from) {
  member_row row;
  from.at("name").get_to(row.name);
  read(from, "address", row.address);
  read_incarnation(from, row.incarnation);
  read(from, "weight", row.weight);
  read(from, "draining", row.draining);
  read(from, "slots", row.slots);
  return row;
}

peer_row read_peer(const json& from) {
  peer_row row;
  from.at("name").get_to(row.name);
  read(from, "address", row.address);
  read(from, "up", row.up);
  read_incarnation(from, row.incarnation);
  read(from, "rtt_ms", row.rtt_ms);
  read(from, "phi", row.phi);
  read(from, "queued_messages", row.queued_messages);
  read(from, "queued_bytes", row.queued_bytes);
  read(from, "in_flight_bytes", row.in_flight_bytes);
  read(from, "window_bytes", row.window_bytes);
  read(from, "names", row.names);
  return row;
}

cluster_picture read_picture(const json& from) {
  cluster_picture picture;
  read(from, "node", picture.node);
  read(from, "cluster", picture.cluster);
  read(from, "membership", picture.membership);
  read(from, "standing", picture.standing);
  read(from, "quorum", picture.quorum);
  read_incarnation(from, picture.incarnation);
  read(from, "refusals", picture.refusals);
  if (const auto view = from.find("view"); view != from.end() && view->is_object()) {
    read(*view, "number", picture.view);
    read(*view, "proposer", picture.proposer);
    for (const auto& each : view->value("members", json::array()))
      picture.members.push_back(read_member(each));
  }
  for (const auto& each : from.value("peers", json::array()))
    picture.peers.push_back(read_peer(each));
  return picture;
}

/// Rows of cells, the first one the head; columns as wide as their widest cell.
std::string table_of(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t n = 0; n < row.size(); ++n) {
      widths.resize(std::max(widths.size(), n + 1));
      widths[n] = std::max(widths[n], row[n].size());
    }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t n = 0; n < row.size(); ++n)
      line += fmt::format("{:<{}}  ", row[n], widths[n]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string state_of(const cluster_picture& picture, const member_row& member) {
  if (member.draining)
    return "draining";
  if (member.name == picture.node)
    return "this node";
  const auto link = std::find_if(picture.peers.begin(), picture.peers.end(),
                                 [&](const peer_row& peer) { return peer.name == member.name; });
  return link != picture.peers.end() && link->up ? "up" : "not heard";
}

std::string members_text(const cluster_picture& picture) {
  std::vector<std::vector<std::string>> rows{
    {"member", "state", "slots", "weight", "address", "incarnation"}};
  for (const auto& each : picture.members)
    rows.push_back({each.name, state_of(picture, each), std::to_string(each.slots),
                    std::to_string(each.weight), each.address, each.incarnation});
  return table_of(rows);
}

std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t n = 0; n < std::min(names.size(), names_shown); ++n)
    text += (n > 0 ? " " : "") + names[n];
  if (names.size() > names_shown)
    text += fmt::format(" and {} more", names.size() - names_shown);
  return text;
}

std::string links_text(const cluster_picture& picture) {
  std::vector<std::vector<std::string>> rows{
    {"link to", "state", "rtt", "phi", "credit left", "queued", "serves"}};
  for (const auto& each : picture.peers) {
    const auto left = each.window_bytes - std::min(each.window_bytes, each.in_flight_bytes);
    rows.push_back({each.name, each.up ? "up" : "down",
                    each.up ? fmt::format("{:.2f} ms", each.rtt_ms) : "-",
                    fmt::format("{:.1f}", each.phi),
                    fmt::format("{} of {}", bytes_text(left), bytes_text(each.window_bytes)),
                    fmt::format("{} ({})", each.queued_messages, bytes_text(each.queued_bytes)),
                    names_text(each.names)});
  }
  return table_of(rows);
}

} // namespace

const member_row* cluster_picture::member(std::string_view wanted) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const member_row& each) { return each.name == wanted; });
  return found != members.end() ? &*found : nullptr;
}

expected<cluster_picture> read_cluster(const std::string& body) {
  try {
    const auto parsed = json::parse(body);
    if (parsed.is_object())
      return read_picture(parsed);
  } catch (const json::exception& e) {
    return fail(errc::malformed, std::string{"GET /cluster answered no cluster: "} + e.what());
  }
  return fail(errc::malformed, "GET /cluster answered no JSON object");
}

std::string report_of(const cluster_picture& picture) {
  auto text = fmt::format("cluster {}, membership {}, seen by {} (incarnation {})\n",
                          picture.cluster, picture.membership, picture.node, picture.incarnation);
  text += fmt::format("{}: {}\n", picture.quorum ? "in force" : "NOT IN FORCE",
                      picture.standing.empty() ? "no standing told" : picture.standing);
  if (picture.view == 0)
    text += "no view yet\n";
  else
    text += fmt::format("view {}, proposed by {}\n\n{}", picture.view, picture.proposer,
                        members_text(picture));
  if (!picture.peers.empty())
    text += '\n' + links_text(picture);
  if (!picture.refusals.empty())
    text += "\nrefused:\n";
  for (const auto& each : picture.refusals)
    text += "  " + each + '\n';
  return text;
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array units{"KiB", "MiB", "GiB"};
  if (bytes < 1024)
    return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (value /= 1024; value >= 1024 && unit + 1 < units.size(); ++unit)
    value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

} // namespace skep::cli::cluster
