#include "runtime/cluster/etcd_json.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/base64.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace skep::rt::etcd {

namespace {

// What is read: an ordered object would look every new member up among all before it.
using json = nlohmann::json;
// What is written, for people too.
using ordered = nlohmann::ordered_json;

std::string number_text(std::uint64_t n) {
  return std::to_string(n);
}

/// The first key that no longer begins with the prefix: its last byte plus one.
std::string range_end(std::string_view prefix) {
  SKEP_ASSERT(!prefix.empty() && static_cast<unsigned char>(prefix.back()) != 0xff);
  std::string end{prefix};
  ++end.back();
  return end;
}

std::string write(const ordered& value) {
  return value.dump(-1, ' ', false, ordered::error_handler_t::replace);
}

/// A discarded value when the bytes are no JSON.
json parse(std::string_view text) {
  return json::parse(text, nullptr, false);
}

/// The member of an object, or null.
const json* find(const json& object, const char* name) {
  if (!object.is_object())
    return nullptr;
  const auto at = object.find(name);
  return at != object.end() ? &*at : nullptr;
}

/// A 64-bit number, as text or as a number. protobuf leaves out what is 0, so absent is 0.
std::optional<std::uint64_t> number_of(const json& object, const char* name) {
  const auto* value = find(object, name);
  if (value == nullptr)
    return 0;
  if (value->is_number_unsigned())
    return value->get<std::uint64_t>();
  if (!value->is_string())
    return std::nullopt;
  const auto& text = value->get_ref<const std::string&>();
  std::uint64_t out = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  return read.ec == std::errc{} && read.ptr == end ? std::optional{out} : std::nullopt;
}

/// Text; absent is empty.
std::optional<std::string> text_of(const json& object, const char* name) {
  const auto* value = find(object, name);
  if (value == nullptr)
    return std::string{};
  return value->is_string() ? std::optional{value->get<std::string>()} : std::nullopt;
}

tl::unexpected<failure> no_answer(const char* what) {
  return fail(errc::malformed, std::string{"etcd's answer is no "} + what);
}

/// Of an answer's header, which every answer has.
std::optional<std::uint64_t> revision_of(const json& answer) {
  const auto* header = find(answer, "header");
  return header != nullptr && header->is_object() ? number_of(*header, "revision") : std::nullopt;
}

std::optional<key_value> read_key_value(const json& from) {
  const auto key = text_of(from, "key");
  const auto value = text_of(from, "value");
  const auto revision = number_of(from, "mod_revision");
  const auto lease = number_of(from, "lease");
  if (!from.is_object() || !key || !value || !revision || !lease)
    return std::nullopt;
  auto key_bytes = from_base64(*key);
  auto value_bytes = from_base64(*value);
  if (!key_bytes || !value_bytes)
    return std::nullopt;
  return key_value{std::move(*key_bytes), std::move(*value_bytes), *revision, *lease};
}

/// The kvs of a range answer; absent when nothing was found.
std::optional<std::vector<key_value>> read_key_values(const json& from) {
  std::vector<key_value> out;
  const auto* list = find(from, "kvs");
  if (list == nullptr)
    return out;
  if (!list->is_array())
    return std::nullopt;
  for (const auto& each : *list) {
    auto one = read_key_value(each);
    if (!one)
      return std::nullopt;
    out.push_back(std::move(*one));
  }
  return out;
}

expected<lease_answer> read_lease(const json& from, const char* what) {
  const auto id = number_of(from, "ID");
  const auto ttl = number_of(from, "TTL");
  // A day is more than any lease of ours.
  if (!from.is_object() || !id || *id == 0 || !ttl || *ttl > 86'400)
    return no_answer(what);
  return lease_answer{*id, std::chrono::seconds{static_cast<std::int64_t>(*ttl)}};
}

ordered member_json(const msg::member& node) {
  return {{"name", node.name},
          {"incarnation", node.incarnation},
          {"address", node.address},
          {"weight", node.weight},
          {"draining", node.draining}};
}

std::optional<msg::member> member_of(const json& from) {
  const auto name = text_of(from, "name");
  const auto incarnation = number_of(from, "incarnation");
  const auto address = text_of(from, "address");
  const auto weight = number_of(from, "weight");
  const auto* draining = find(from, "draining");
  if (!name || name->empty() || !incarnation || !address || !weight
      || *weight > std::numeric_limits<std::uint32_t>::max()
      || (draining != nullptr && !draining->is_boolean()))
    return std::nullopt;
  return msg::member{*name, *incarnation, *address, static_cast<std::uint32_t>(*weight),
                     draining != nullptr && draining->get<bool>()};
}

} // namespace

// -- requests -------------------------------------------------------------------------------------

std::string grant_body(std::chrono::seconds ttl) {
  return write({{"TTL", std::to_string(ttl.count())}});
}

std::string lease_body(std::uint64_t id) {
  return write({{"ID", number_text(id)}});
}

std::string range_body(std::string_view prefix) {
  return write({{"key", to_base64(prefix)}, {"range_end", to_base64(range_end(prefix))}});
}

std::string watch_body(std::string_view prefix) {
  return write({{"create_request",
                 {{"key", to_base64(prefix)}, {"range_end", to_base64(range_end(prefix))}}}});
}

std::string put_if_body(std::string_view key, std::string_view value, std::uint64_t lease,
                        std::uint64_t mod_revision) {
  const auto name = to_base64(key);
  const ordered compare{{"key", name},
                        {"target", "MOD"},
                        {"result", "EQUAL"},
                        {"mod_revision", number_text(mod_revision)}};
  ordered put{{"key", name}, {"value", to_base64(value)}};
  if (lease != 0)
    put["lease"] = number_text(lease);
  const ordered then{{"request_put", put}};
  const ordered otherwise{{"request_range", {{"key", name}}}};
  return write({{"compare", ordered::array({compare})},
                {"success", ordered::array({then})},
                {"failure", ordered::array({otherwise})}});
}

// -- answers --------------------------------------------------------------------------------------

expected<lease_answer> read_grant(std::string_view body) {
  return read_lease(parse(body), "lease");
}

expected<lease_answer> read_keepalive(std::string_view body) {
  // A stream of one line.
  const auto answer = parse(body.substr(0, body.find('\n')));
  const auto* result = find(answer, "result");
  return result != nullptr ? read_lease(*result, "keepalive") : no_answer("keepalive");
}

expected<range_answer> read_range(std::string_view body) {
  const auto answer = parse(body);
  const auto revision = revision_of(answer);
  auto found = read_key_values(answer);
  if (!revision || !found)
    return no_answer("range");
  return range_answer{*revision, std::move(*found)};
}

expected<put_if_answer> read_put_if(std::string_view body) {
  const auto answer = parse(body);
  const auto revision = revision_of(answer);
  const auto* succeeded = find(answer, "succeeded");
  const auto* responses = find(answer, "responses");
  if (!revision || (succeeded != nullptr && !succeeded->is_boolean()))
    return no_answer("transaction");
  put_if_answer out{succeeded != nullptr && succeeded->get<bool>(), *revision, {}};
  if (out.done)
    return out;
  if (responses == nullptr || !responses->is_array() || responses->size() != 1)
    return no_answer("transaction");
  const auto* range = find(responses->front(), "response_range");
  auto found = range != nullptr ? read_key_values(*range) : std::nullopt;
  if (!found || found->size() > 1)
    return no_answer("transaction");
  if (!found->empty())
    out.found = std::move(found->front());
  return out;
}

// -- values ---------------------------------------------------------------------------------------

std::string member_text(const msg::member& node) {
  return write(member_json(node));
}

std::string view_text(const msg::cluster_view& view) {
  ordered members = ordered::array();
  for (const auto& each : view.members)
    members.push_back(member_json(each));
  return write(
    {{"number", view.number}, {"proposer", view.proposer}, {"members", std::move(members)}});
}

std::optional<msg::member> read_member(std::string_view text) {
  return member_of(parse(text));
}

std::optional<msg::cluster_view> read_view(std::string_view text) {
  const auto from = parse(text);
  const auto number = number_of(from, "number");
  const auto proposer = text_of(from, "proposer");
  const auto* members = find(from, "members");
  if (!number || *number == 0 || !proposer || members == nullptr || !members->is_array())
    return std::nullopt;
  msg::cluster_view out{*number, *proposer, {}};
  for (const auto& each : *members) {
    auto one = member_of(each);
    if (!one || (!out.members.empty() && out.members.back().name >= one->name))
      return std::nullopt;
    out.members.push_back(std::move(*one));
  }
  return out;
}

} // namespace skep::rt::etcd
