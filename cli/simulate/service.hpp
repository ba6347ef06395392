#pragma once

#include "cli/simulate/flavour.hpp"
#include "runtime/flow/token_bucket.hpp"
#include "runtime/net/http_message.hpp"

#include <array>
#include <deque>
#include <optional>
#include <string>

namespace skep::cli::simulate {

/// What the upstream does with one request.
struct service_reply {
  script what;
  dialect spoken = dialect::openai;
  /// A call of a model, which takes one of the places at work.
  bool works = false;
};

/// The upstream without its sockets: a request in, a script out. Also the control endpoint:
///
///     GET    /simulate/faults   counters and rules
///     POST   /simulate/faults   a rule, or a list of rules, instead of those set before
///     DELETE /simulate/faults   no rules but the plan's
///     GET    /simulate/calls    the last calls as they came, credentials left out
///
/// Not thread-safe.
class service {
public:
  /// The plan's times are multiplied by `scale`.
  explicit service(plan from, double scale = 1);

  service_reply answer(const net::http_request& request, time_point now);
  /// The answer to a call that finds no place; counted as overloaded.
  script overloaded(dialect spoken);
  /// Calls at work and waiting, for the counters.
  void show_load(std::size_t working, std::size_t waiting);

  const fault_book& faults() const {
    return faults_;
  }
  const upstream_config& config() const {
    return plan_.upstream;
  }

private:
  struct recent_call {
    std::string path;
    fault_mode mode = fault_mode::none;
    bool key = false;
    std::string version;
    std::string traceparent;
    std::string body;
  };

  service_reply route(const net::http_request& request, time_point now);
  service_reply chat(const net::http_request& request, dialect spoken, time_point now);
  /// Errors are still in the API's own words.
  service_reply plain_chat(const net::http_request& request, dialect spoken, time_point now);
  service_reply embeddings(const net::http_request& request, time_point now);
  script count_tokens(const net::http_request& request) const;
  script list_models(const net::http_request& request, const std::string& name) const;
  script control_faults(const net::http_request& request, time_point now);
  script set_faults(const net::http_request& request, time_point now);
  script show_calls() const;
  std::string counters() const;

  /// What is wrong with the head of a call or with its model; nothing when all is well.
  std::optional<error_text> complaint(const net::http_request& request, dialect spoken) const;
  bool knows(const std::string& model) const;
  misfortune fate_of(const net::http_request& request, dialect spoken, time_point now);
  duration delay();

  const plan plan_;
  const flavour& kind_;
  fault_book faults_;
  flow::token_bucket limit_;
  flow::rng random_;
  std::uint64_t requests_ = 0;
  std::uint64_t answers_ = 0;
  std::array<std::uint64_t, 2> calls_{}; // By dialect.
  std::array<std::uint64_t, fault_mode_count> by_mode_{};
  std::deque<recent_call> recent_;
  std::size_t working_ = 0;
  std::size_t waiting_ = 0;
};

} // namespace skep::cli::simulate
