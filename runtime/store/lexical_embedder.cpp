#include "runtime/store/lexical_embedder.hpp"

#include "runtime/base/fnv.hpp"
#include "runtime/store/semantic_lexicon.hpp"
#include "runtime/store/semantic_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace skep::store {

namespace {

// Words carry the text; pairs its order; pieces of words forgive spelling and endings.
constexpr float word_weight = 1.0f;
constexpr float pair_weight = 0.4f;
constexpr float gram_weight = 0.3f;
constexpr float stop_weight = 0.15f;
constexpr std::size_t gram_bytes_min = 3;
constexpr std::size_t gram_bytes_max = 4;

struct feature {
  std::uint64_t hash = 0;
  float weight = 0;
};

/// FNV's low bits are weak; this spreads them (the finalizer of MurmurHash3).
std::uint64_t mixed(std::uint64_t hash) {
  hash = (hash ^ (hash >> 33)) * 0xff51'afd7'ed55'8ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ce'b9fe'1a85'ec53;
  return hash ^ (hash >> 33);
}

void add_grams(std::vector<feature>& features, const std::string& word, float weight) {
  const auto padded = "^" + word + "$";
  for (auto length = gram_bytes_min; length <= gram_bytes_max; ++length)
    for (std::size_t at = 0; at + length <= padded.size(); ++at)
      features.push_back(
        {fnv1a(std::string_view{padded}.substr(at, length), fnv1a("gram")), weight * gram_weight});
}

std::vector<feature> features_of(std::string_view text) {
  std::vector<feature> features;
  std::string scratch;
  std::uint64_t before = fnv1a("pair");
  for (const auto& piece : pieces_of(text)) {
    const auto stem = piece.kind == piece_kind::word ? stem_of(piece.text, scratch)
                                                     : std::string_view{piece.text};
    const bool small = is_stop_word(piece.text) || is_request(piece.text);
    const float weight = small ? stop_weight : 1.0f;
    features.push_back({fnv1a(stem, fnv1a("word")), weight * word_weight});
    add_grams(features, piece.text, weight);
    if (weight < 1.0f)
      continue;
    features.push_back({fnv1a(stem, before), pair_weight});
    before = fnv1a(stem, fnv1a("pair"));
  }
  return features;
}

} // namespace

lexical_embedder::vector lexical_embedder::embed(std::string_view text) {
  auto features = features_of(text);
  std::sort(features.begin(), features.end(),
            [](const feature& a, const feature& b) { return a.hash < b.hash; });
  vector made{};
  for (std::size_t at = 0; at < features.size();) {
    auto end = at;
    while (end < features.size() && features[end].hash == features[at].hash)
      ++end;
    const auto count = static_cast<float>(end - at);
    const auto hash = mixed(features[at].hash);
    const float sign = (hash >> 32 & 1) != 0 ? 1.0f : -1.0f;
    made[hash % dimensions] += sign * features[at].weight * (1 + std::log(count));
    at = end;
  }
  float square = 0;
  for (const float each : made)
    square += each * each;
  if (square > 0)
    for (auto& each : made)
      each /= std::sqrt(square);
  return made;
}

} // namespace skep::store
