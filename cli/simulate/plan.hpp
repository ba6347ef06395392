#pragma once

#include "cli/simulate/faults.hpp"
#include "runtime/config/diagnostic.hpp"

#include <tl/expected.hpp>

#include <optional>
#include <string>
#include <vector>

namespace skep::cli::simulate {

/// `[upstream]`: how well-behaved calls are answered.
struct upstream_config {
  std::uint64_t seed = 1;
  /// Median time to the first token.
  std::chrono::milliseconds first_token{20};
  /// Sigma of a lognormal around it; 0: always the same.
  double spread = 0;
  /// 0: all at once.
  double tokens_per_s = 1'000;
  std::uint32_t tokens_min = 20;
  std::uint32_t tokens_max = 60;
  /// Calls at work; 0: any number.
  std::uint32_t concurrency_max = 0;
  /// Calls that wait for their turn; one more is told that the upstream is overloaded.
  std::uint32_t queue_max = 0;
  /// A rate limit as providers have one; 0: none.
  double requests_per_s = 0;
  double requests_burst = 10;
  /// Listed, and answered as if each were a model of its own.
  std::vector<std::string> models{"small", "large"};
  /// Other names are 404.
  bool models_only = false;
  /// Calls without a key are 401.
  bool key_required = false;
  /// The kind of server it answers as (flavour.hpp); empty: plainly.
  std::string flavour;
  std::uint64_t huge = 16u << 20;
  std::chrono::milliseconds loris_pause{50};
  std::uint32_t connections_max = 20'000;
  std::uint64_t body_max = 32u << 20;
};

/// A file: `[upstream]` and any number of `[[phase]]`.
struct plan {
  upstream_config upstream;
  std::vector<fault_rule> phases;
};

/// Reads a plan, or without a path the defaults; `sets` are "upstream.tokens_per_s=50" and win.
/// Every problem comes as file:line:col: message.
tl::expected<plan, config::diagnostics> load_plan(const std::string& path,
                                                  const std::vector<std::string>& sets);

/// Rules as the control endpoint takes them: an object, or a list of objects, of the keys of a
/// phase. The text says what is wrong.
tl::expected<std::vector<fault_rule>, std::string> read_rules(std::string_view json);

} // namespace skep::cli::simulate
