#pragma once

#include "actors/gateway/config.hpp"
#include "actors/gateway/endpoint_table.hpp"
#include "actors/gateway/model_scope.hpp"
#include "actors/gateway/origin_policy.hpp"
#include "messages/context.hpp"
#include "messages/failure.hpp"
#include "runtime/net/http_message.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// Who asks, as far as the key or the place says.
struct caller {
  std::string tenant = default_tenant;
  /// May operate the node and see its parts.
  bool admin = false;
  /// Null: every model and agent.
  model_scope_ptr models;
};

/// Why a request is turned away by its head alone.
enum class denial_reason : std::uint8_t { path, method, host, origin, type, key, role };
inline constexpr std::size_t denial_reason_count = 7;
/// "path", "key": a label of metrics.
std::string_view word_of(denial_reason reason);

/// A request turned away, with what its client is told.
struct denial {
  denial_reason reason = denial_reason::path;
  int status = 404;
  /// For the log: errc::unauthenticated, errc::forbidden, errc::not_found, errc::bad_request.
  errc why = errc::not_found;
  /// The member `code` of the error.
  std::string_view code;
  std::string message;
  /// Fields the answer needs besides: allow, upgrade, www-authenticate.
  net::http_headers headers;
};

/// Decides by a request's head whether it comes in: the one place that knows which endpoints a
/// listener has, which methods they take, what a web page may ask and what a key is good for.
/// Immutable, so any thread may ask.
class admission {
public:
  /// What a listener serves.
  enum class serves : std::uint8_t {
    /// Everything: there is one listener.
    all,
    /// What clients ask and the probes: operations have a listener of their own.
    clients,
    /// What operates the node, and the probes.
    operations,
  };

  /// `listen` is the listener's ADDRESS:PORT.
  admission(const gateway_config& options, serves what, const std::string& listen,
            std::shared_ptr<const endpoint_table> endpoints
            = std::make_shared<const endpoint_table>());

  /// Nothing when the request may come in. `path` is the normal path.
  std::optional<denial> judge(const net::http_request& head, std::string_view path) const;
  /// Who asks, once judge() let the request in.
  caller caller_of(const net::http_request& head) const;
  /// What a normal path stands for, here or at another listener.
  const served_endpoint& endpoint_at(std::string_view path) const {
    return endpoints_->find(path);
  }
  const origin_policy& origins() const {
    return origins_;
  }

private:
  struct holder {
    std::string key;
    caller who;
  };

  bool has(const served_endpoint& asked) const;
  const caller* holder_of(const net::http_request& head) const;
  bool is_local(const net::http_request& head) const;
  std::optional<denial> judge_method(const net::http_request& head,
                                     const served_endpoint& asked) const;
  std::optional<denial> judge_page(const net::http_request& head,
                                   const served_endpoint& asked) const;
  std::optional<denial> judge_key(const net::http_request& head,
                                  const served_endpoint& asked) const;

  const serves serves_;
  const std::shared_ptr<const endpoint_table> endpoints_;
  const origin_policy origins_;
  std::vector<holder> holders_;
  // Requests need no key here: there is none, or the listener is for this machine alone.
  bool keyless_ = true;
};

} // namespace skep::actors
