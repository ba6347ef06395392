#include "actors/embedder/embed_batch.hpp"

#include "runtime/base/assert.hpp"

#include <map>
#include <numeric>
#include <string_view>

namespace skep::actors {

embed_batch coalesce(std::span<const std::vector<std::string>* const> callers, bool once) {
  embed_batch made;
  // Sorted: clients choose the texts, and could choose ones that all hash alike.
  std::map<std::string_view, std::uint32_t> known;
  for (const auto* texts : callers) {
    auto& places = made.places.emplace_back();
    auto& weight = made.weights.emplace_back(0);
    for (const auto& text : *texts) {
      auto place = static_cast<std::uint32_t>(made.texts.size());
      const bool fresh = !once || known.try_emplace(text, place).second;
      if (fresh) {
        made.texts.push_back(text);
        made.bytes += text.size();
      } else {
        place = known.find(text)->second;
        ++made.spared;
      }
      places.push_back(place);
      weight += text.size() + 1;
    }
  }
  return made;
}

std::vector<msg::embed_reply> share_out(const embed_batch& batch, const msg::embed_reply& whole) {
  SKEP_ASSERT(whole.embeddings.size() == batch.texts.size());
  const auto all = std::accumulate(batch.weights.begin(), batch.weights.end(), std::uint64_t{0});
  // Tokens up to a weight, rounded down; in two parts, so that no product overflows.
  const auto tokens_up_to = [&, each = whole.prompt_tokens / all, rest = whole.prompt_tokens % all](
                              std::uint64_t weight) { return each * weight + rest * weight / all; };
  std::vector<msg::embed_reply> shares(batch.places.size());
  std::uint64_t before = 0;
  for (std::size_t n = 0; n < shares.size(); ++n) {
    shares[n].model = whole.model;
    shares[n].embeddings.reserve(batch.places[n].size());
    for (const auto place : batch.places[n])
      shares[n].embeddings.push_back(whole.embeddings[place]);
    const auto upto = before + batch.weights[n];
    shares[n].prompt_tokens = tokens_up_to(upto) - tokens_up_to(before);
    before = upto;
  }
  return shares;
}

} // namespace skep::actors
