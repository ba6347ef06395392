#include "actors/gateway/admission.hpp"

#include "actors/gateway/http_fields.hpp"
#include "runtime/base/text.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

using net::equal_ignoring_case;

// As much of a client's own text as an error repeats.
constexpr std::size_t repeated_max = 100;

std::string repeated(std::string_view text) {
  return "\"" + std::string{text.substr(0, repeated_max)} + "\"";
}

denial forbidden(denial_reason reason, std::string message) {
  return {reason, 403, errc::forbidden, "forbidden", std::move(message), {}};
}

denial foreign_page(const net::http_request& head) {
  const auto origin = head.header("origin");
  return forbidden(denial_reason::origin,
                   "web pages of other origins may not ask here: add "
                     + (origin.empty() ? std::string{"the page's origin"} : repeated(origin))
                     + " to gateway.cors_origins to let this one in");
}

/// "application/json" of "application/json; charset=utf-8".
std::string_view media_type(std::string_view content_type) {
  return trimmed(content_type.substr(0, content_type.find(';')));
}

bool is_json(std::string_view content_type) {
  constexpr std::string_view suffix = "+json";
  const auto type = media_type(content_type);
  return equal_ignoring_case(type, "application/json")
         || (type.size() > suffix.size()
             && equal_ignoring_case(type.substr(type.size() - suffix.size()), suffix));
}

origin_policy::rules origin_rules(const gateway_config& options, const std::string& listen,
                                  bool for_pages) {
  const auto where = split_listen(listen); // The options' check has read it before.
  return {where ? where->first : std::string{}, options.hosts,
          for_pages ? options.cors_origins : std::vector<std::string>{}};
}

} // namespace

std::string_view word_of(denial_reason reason) {
  switch (reason) {
    case denial_reason::path: return "path";
    case denial_reason::method: return "method";
    case denial_reason::host: return "host";
    case denial_reason::origin: return "origin";
    case denial_reason::type: return "type";
    case denial_reason::key: return "key";
    case denial_reason::role: break;
  }
  return "role";
}

admission::admission(const gateway_config& options, serves what, const std::string& listen,
                     std::shared_ptr<const endpoint_table> endpoints)
  // Pages may ask models; what operates the node without a key is for none of them.
  : serves_(what), endpoints_(std::move(endpoints)),
    origins_(origin_rules(options, listen, what != serves::operations)) {
  const auto where = split_listen(listen);
  if (serves_ == serves::operations && where && is_loopback(where->first))
    return;
  for (const auto& each : options.keys) {
    holder made{each.key.reveal(), {each.tenant, each.role == key_role::admin, nullptr}};
    if (!each.models.empty())
      made.who.models = std::make_shared<const model_scope>(each.models);
    holders_.push_back(std::move(made));
  }
  keyless_ = holders_.empty();
}

bool admission::has(const served_endpoint& asked) const {
  if (asked.what == endpoint::unknown || is_probe(asked.what))
    return asked.what != endpoint::unknown;
  switch (serves_) {
    case serves::all: return true;
    case serves::clients: return asked.who != access::admin;
    case serves::operations: break;
  }
  return asked.who == access::admin;
}

std::optional<denial> admission::judge(const net::http_request& head, std::string_view path) const {
  const auto& asked = endpoint_at(path);
  if (!has(asked))
    return denial{denial_reason::path,
                  404,
                  errc::not_found,
                  "not_found",
                  "unknown URL: " + head.method + " " + std::string{path},
                  {}};
  if (origin_policy::is_preflight(head))
    return origins_.is_foreign(head) ? std::optional{foreign_page(head)} : std::nullopt;
  if (auto denied = judge_method(head, asked))
    return denied;
  if (asked.who == access::open)
    return std::nullopt;
  if (auto denied = judge_page(head, asked))
    return denied;
  return judge_key(head, asked);
}

std::optional<denial> admission::judge_method(const net::http_request& head,
                                              const served_endpoint& asked) const {
  if (allows(asked.methods, head.method))
    return std::nullopt;
  denial denied{denial_reason::method,
                405,
                errc::bad_request,
                "method_not_allowed",
                head.method + " is not allowed here",
                {}};
  if (asked.what == endpoint::responses && head.headers.contains("upgrade")) {
    // Clients that try a WebSocket first (Codex) fall back at once on this status.
    denied.status = 426;
    denied.code = "upgrade_required";
    denied.message = "the Responses API is served over HTTP/1.1 only, as POST /v1/responses";
    denied.headers.add("upgrade", "HTTP/1.1");
  }
  denied.headers.add("allow", asked.methods);
  return denied;
}

/// What a web page may not have asked for behind its visitor's back.
std::optional<denial> admission::judge_page(const net::http_request& head,
                                            const served_endpoint& asked) const {
  if (origins_.is_foreign(head))
    return foreign_page(head);
  if (!keyless_)
    return std::nullopt; // A page cannot know the key.
  if (asked.who == access::admin && origin_policy::is_cross_origin(head))
    return forbidden(denial_reason::origin,
                     "web pages of other origins may not operate a node without keys");
  if (const auto host = head.header("host"); !origins_.knows_host(host))
    return forbidden(denial_reason::host,
                     "without keys this node answers to its own names only, and Host is "
                       + repeated(host)
                       + ": use its IP address, add the name to gateway.hosts, or set "
                         "[[gateway.key]]");
  const auto type = head.header("content-type");
  if (head.method == "POST" && !type.empty() && !is_json(type))
    return denial{denial_reason::type,
                  415,
                  errc::bad_request,
                  "unsupported_media_type",
                  "send the body as content-type: application/json, not " + repeated(type)
                    + ": without keys this node takes nothing that any web page may send",
                  {}};
  return std::nullopt;
}

std::optional<denial> admission::judge_key(const net::http_request& head,
                                           const served_endpoint& asked) const {
  if (keyless_)
    return std::nullopt;
  const auto* who = holder_of(head);
  if (who == nullptr) {
    denial denied{denial_reason::key,
                  401,
                  errc::unauthenticated,
                  "invalid_api_key",
                  "a valid API key is needed: Authorization: Bearer KEY or x-api-key: KEY",
                  {}};
    denied.headers.add("www-authenticate", "Bearer");
    return denied;
  }
  if (asked.who == access::admin && !who->admin)
    return forbidden(denial_reason::role,
                     std::string{asked.path}
                       + " needs a key that may operate the node: one with role = \"admin\" in "
                         "[[gateway.key]]");
  return std::nullopt;
}

bool admission::is_local(const net::http_request& head) const {
  return origins_.knows_host(head.header("host")) && !origin_policy::is_cross_origin(head);
}

caller admission::caller_of(const net::http_request& head) const {
  caller who;
  if (keyless_)
    who.admin = is_local(head);
  else if (const auto* known = holder_of(head))
    who = *known;
  return who;
}

const caller* admission::holder_of(const net::http_request& head) const {
  auto token = bearer_token(head.header("authorization"));
  if (token.empty())
    token = head.header("x-api-key"); // As Anthropic's clients send it.
  const caller* match = nullptr;
  for (const auto& each : holders_)
    if (!token.empty() && same_secret(each.key, token))
      match = &each.who; // The others are compared as well, so that the time tells nothing.
  return match;
}

} // namespace skep::actors
