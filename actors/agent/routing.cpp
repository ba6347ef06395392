#include "actors/agent/routing.hpp"

#include "actors/agent/complexity.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/json/members.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

namespace skep::actors {

namespace {

using order = std::vector<std::size_t>;

// What an answer is taken to need when the request sets no limit.
constexpr std::uint64_t answer_tokens_default = 1024;

std::uint64_t answer_tokens(std::string_view parameters) {
  const auto members = json::members_of(parameters).value_or(std::vector<json::member>{});
  for (const auto& each : members) {
    if (each.name != "max_tokens" && each.name != "max_completion_tokens")
      continue;
    std::uint64_t value = 0;
    std::from_chars(each.value.data(), each.value.data() + each.value.size(), value);
    return value;
  }
  return answer_tokens_default;
}

double cost_of(const routed_model& model, std::uint64_t in, std::uint64_t out) {
  if (model.input_price < 0 || model.output_price < 0)
    return std::numeric_limits<double>::infinity(); // Not known: after those that are.
  return model.input_price * static_cast<double>(in)
         + model.output_price * static_cast<double>(out);
}

/// Weighted order without repetition: the largest u^(1/w) first (Efraimidis and Spirakis, 2006), in
/// logarithms.
void order_by_weight(const routing_plan& plan, order& models, flow::rng& random) {
  std::vector<double> keys(plan.models.size());
  for (const auto n : models)
    keys[n] = std::log(1.0 - random.uniform()) / std::max(1u, plan.models[n].weight);
  std::stable_sort(models.begin(), models.end(),
                   [&](std::size_t a, std::size_t b) { return keys[a] > keys[b]; });
}

void order_by_price(const routing_plan& plan, order& models, std::uint64_t in, std::uint64_t out) {
  std::stable_sort(models.begin(), models.end(), [&](std::size_t a, std::size_t b) {
    return cost_of(plan.models[a], in, out) < cost_of(plan.models[b], in, out);
  });
}

const routing_tier* tier_for(const routing_plan& plan, const routing_question& asked) {
  if (!asked.tier.empty()) {
    const auto named = std::find_if(plan.tiers.begin(), plan.tiers.end(),
                                    [&](const routing_tier& t) { return t.name == asked.tier; });
    return named == plan.tiers.end() ? nullptr : &*named;
  }
  const auto score = complexity_of(asked.messages, asked.parameters);
  const auto fits = std::find_if(plan.tiers.begin(), plan.tiers.end(),
                                 [&](const routing_tier& t) { return score <= t.score_max; });
  return fits == plan.tiers.end() ? nullptr : &*fits;
}

/// The tier's models in front of the others; those keep their order.
void put_first(const std::vector<std::size_t>& tier, order& models) {
  order sorted = tier;
  for (const auto n : models)
    if (std::find(tier.begin(), tier.end(), n) == tier.end())
      sorted.push_back(n);
  models = std::move(sorted);
}

/// Leaves out what cannot hold the request; when nothing can, what holds most comes first, and its
/// provider says what is wrong.
void keep_fitting(const routing_plan& plan, order& models, std::uint64_t needed) {
  const auto room = [&](std::size_t n) {
    const auto tokens = plan.models[n].context_tokens;
    return tokens == 0 ? std::numeric_limits<std::uint64_t>::max() : tokens;
  };
  if (std::any_of(models.begin(), models.end(), [&](std::size_t n) { return room(n) >= needed; }))
    std::erase_if(models, [&](std::size_t n) { return room(n) < needed; });
  else
    std::stable_sort(models.begin(), models.end(),
                     [&](std::size_t a, std::size_t b) { return room(a) > room(b); });
}

/// The configuration's order, whatever is asked.
bool is_plain(const routing_plan& plan) {
  return plan.kind == routing_kind::chain
         && std::all_of(plan.models.begin(), plan.models.end(),
                        [](const routed_model& m) { return m.context_tokens == 0; });
}

} // namespace

routing_choice choose_routes(const routing_plan& plan, const routing_question& asked,
                             flow::rng& random) {
  routing_choice choice;
  if (is_plain(plan)) {
    for (const auto& model : plan.models)
      choice.routes.push_back(model.route);
    if (!plan.models.empty())
      choice.first_of_key = plan.models.front().route;
    return choice;
  }
  order models(plan.models.size());
  std::iota(models.begin(), models.end(), std::size_t{0});
  const auto in = prompt_tokens_estimate(asked.messages, asked.parameters);
  const auto out = answer_tokens(asked.parameters);
  keep_fitting(plan, models, in + out);
  const auto in_order = models;
  switch (plan.kind) {
    case routing_kind::chain: break;
    case routing_kind::price: order_by_price(plan, models, in, out); break;
    case routing_kind::weight: {
      flow::rng of_session{fnv1a(asked.session)};
      order_by_weight(plan, models, asked.session.empty() ? random : of_session);
      break;
    }
    case routing_kind::complexity:
      if (const auto* tier = tier_for(plan, asked)) {
        choice.tier = tier->name;
        put_first(tier->models, models);
        keep_fitting(plan, models, in + out);
      } else {
        order_by_price(plan, models, in, out);
      }
      break;
  }
  for (const auto n : models)
    choice.routes.push_back(plan.models[n].route);
  if (!models.empty())
    choice.first_of_key
      = plan.models[plan.kind == routing_kind::weight ? in_order.front() : models.front()].route;
  return choice;
}

bool has_tier(const routing_plan& plan, std::string_view name) {
  return std::any_of(plan.tiers.begin(), plan.tiers.end(),
                     [&](const routing_tier& tier) { return tier.name == name; });
}

std::string_view tier_of(std::string_view model, std::string_view agent) {
  const bool suffixed
    = model.size() > agent.size() + 1 && model.starts_with(agent) && model[agent.size()] == ':';
  return suffixed ? model.substr(agent.size() + 1) : std::string_view{};
}

} // namespace skep::actors
