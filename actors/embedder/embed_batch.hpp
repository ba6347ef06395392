#pragma once

#include "messages/provider.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace skep::actors {

/// The texts of several callers as one request.
struct embed_batch {
  /// What is asked, in the order it came.
  std::vector<std::string> texts;
  /// For each caller, where in `texts` each of its own is.
  std::vector<std::vector<std::uint32_t>> places;
  /// What each caller's share of the tokens is reckoned by: its bytes, and 1 per text.
  std::vector<std::uint64_t> weights;
  /// Texts that needed no asking because another one is equal.
  std::uint64_t spared = 0;
  /// Of `texts`.
  std::uint64_t bytes = 0;
};

/// Puts callers' texts together in their order; with `once`, equal ones are asked once.
embed_batch coalesce(std::span<const std::vector<std::string>* const> callers, bool once = true);

/// Each caller's own answer out of the answer to the batch, which has a vector per text. The
/// batch's prompt tokens are shared out in proportion to the weights, and add up.
std::vector<msg::embed_reply> share_out(const embed_batch& batch, const msg::embed_reply& whole);

} // namespace skep::actors
