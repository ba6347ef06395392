#pragma once

#include "messages/chat.hpp"
#include "messages/flight.hpp"
#include "runtime/flow/rng.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Which of its models an agent asks, and in which order; pure.
namespace skep::actors {

/// What decides which model is asked first.
enum class routing_kind : std::uint8_t {
  /// The order of the configuration.
  chain,
  /// Chance, by weight; calls of one session stay together.
  weight,
  /// The tier for requests as hard as this one.
  complexity,
  /// What the request would cost.
  price,
};

/// One model an agent may ask.
struct routed_model {
  msg::flight_route route;
  std::uint32_t weight = 1;
  /// Tokens of prompt and answer together; 0: not known, and taken to fit.
  std::uint64_t context_tokens = 0;
  /// US dollars per million tokens, in and out; below 0: not known.
  double input_price = -1;
  double output_price = -1;
};

/// The models for requests up to a complexity.
struct routing_tier {
  std::string name;
  std::uint32_t score_max = 100;
  /// Indices of the plan's models, in the order in which they are tried.
  std::vector<std::size_t> models;
};

/// How an agent chooses; fixed while the node runs.
struct routing_plan {
  routing_kind kind = routing_kind::chain;
  std::vector<routed_model> models;
  /// In ascending order of score_max.
  std::vector<routing_tier> tiers;
};

/// What of a request routing looks at.
struct routing_question {
  const std::vector<msg::chat_message>& messages;
  std::string_view parameters;
  /// The tier the caller names ("assistant:complex"); empty: by complexity.
  std::string_view tier;
  /// Keeps weighted calls of one conversation together; empty: each by itself.
  std::string_view session;
};

/// What came of it.
struct routing_choice {
  /// Tried in this order; never empty when the plan has models.
  std::vector<msg::flight_route> routes;
  /// The tier's name; empty when none took part.
  std::string tier;
  /// What the answer depends on, for the cache's key: the same for equal requests, whatever chance
  /// says.
  msg::flight_route first_of_key;
};

/// The models in the order in which they are to be tried. Models whose context is too small for the
/// request (by an estimate of four bytes a token, and what it may answer) are left out; when none
/// is large enough the largest stands first. Without a tier that fits, the cheapest is first.
routing_choice choose_routes(const routing_plan& plan, const routing_question& asked,
                             flow::rng& random);

/// The tier in "assistant:complex", asked of the agent "assistant"; empty when none is named.
std::string_view tier_of(std::string_view model, std::string_view agent);

bool has_tier(const routing_plan& plan, std::string_view name);

} // namespace skep::actors
