#include "runtime/store/semantic_threshold.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace skep::store {

namespace {

constexpr double doubt = 0.05;
// What entries share weighs as much as this many observations of an entry's own: with as many and
// no mistake the bound is 0.6 %, and one mistake of its own lifts an entry's above 1 %.
constexpr std::uint32_t shared_weight = 350;
// One popular entry must not speak for all.
constexpr std::uint32_t shared_per_entry = 20;

// The grid: 23 thresholds x 3 slopes x 8 lapses = 552 hypotheses.
constexpr double threshold_min = 0.40;
constexpr double threshold_step = 0.03;
constexpr int thresholds = 23;
constexpr std::array slopes{30.0, 100.0, 300.0};
constexpr std::array lapses{0.001, 0.003, 0.006, 0.01, 0.018, 0.03, 0.08, 0.3};

std::uint8_t hundredths(std::uint32_t thousandths) {
  return static_cast<std::uint8_t>(std::min<std::uint32_t>(thousandths / 10, 100));
}

void count(std::uint16_t& what) {
  if (what < std::numeric_limits<std::uint16_t>::max())
    ++what;
}

} // namespace

void similarity_record::add(std::uint32_t similarity, bool right) {
  const auto at = hundredths(similarity);
  auto found = std::find_if(rows_.begin(), rows_.end(),
                            [&](const row& each) { return each.similarity == at; });
  if (found == rows_.end())
    found = rows_.insert(rows_.end(), row{at, 0, 0});
  count(right ? found->right : found->wrong);
  ++size_;
}

double threshold_model::hypothesis::wrong(double similarity) const {
  const double right = (1 - lapse) / (1 + std::exp(-slope * (similarity - threshold)));
  // A hypothesis never calls anything impossible.
  return std::clamp(1 - right, 1e-6, 1 - 1e-6);
}

threshold_model::threshold_model() {
  for (int n = 0; n < thresholds; ++n)
    for (const double slope : slopes)
      for (const double lapse : lapses)
        all_.push_back({threshold_min + threshold_step * n, slope, lapse, 0});
}

void threshold_model::learn(std::uint32_t similarity, bool right, std::uint32_t seen) {
  if (seen >= shared_per_entry)
    return;
  const double at = hundredths(similarity) / 100.0;
  const double kept = learnt_ < shared_weight ? 1 : 1 - 1.0 / shared_weight;
  learnt_ = std::min(learnt_ + 1, shared_weight);
  for (auto& each : all_) {
    const double wrong = each.wrong(at);
    each.shared = each.shared * kept + std::log(right ? 1 - wrong : wrong);
  }
}

double threshold_model::wrong_bound(const similarity_record& of, std::uint32_t similarity) const {
  struct weighed {
    double wrong = 0;
    double weight = 0;
  };
  const double at = hundredths(similarity) / 100.0;
  std::vector<weighed> posterior;
  posterior.reserve(all_.size());
  for (const auto& each : all_) {
    double weight = each.shared;
    for (const auto& row : of.rows()) {
      const double wrong = each.wrong(row.similarity / 100.0);
      weight += row.right * std::log(1 - wrong) + row.wrong * std::log(wrong);
    }
    posterior.push_back({each.wrong(at), weight});
  }
  const auto by_weight = [](const weighed& a, const weighed& b) { return a.weight < b.weight; };
  const double heaviest = std::max_element(posterior.begin(), posterior.end(), by_weight)->weight;
  double sum = 0;
  for (auto& each : posterior) {
    each.weight = std::exp(each.weight - heaviest);
    sum += each.weight;
  }
  std::sort(posterior.begin(), posterior.end(),
            [](const weighed& a, const weighed& b) { return a.wrong > b.wrong; });
  double above = 0;
  for (const auto& each : posterior) {
    above += each.weight;
    if (above > doubt * sum)
      return each.wrong;
  }
  return posterior.back().wrong;
}

} // namespace skep::store
