#pragma once

#include "messages/provider.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace skep::actors {

/// One model as Anthropic's API shows it, with what its provider says besides; who owns it has no
/// place there. A model whose age nobody knows is of 1970, as that API has it.
std::string write_anthropic_model(const msg::model_entry& model);

/// Which part of a list a client asks for.
struct model_page {
  /// Above zero.
  std::size_t limit = 1000;
  /// The page begins behind this one, if it is in the list; empty: at the first.
  std::string after_id;
  /// Instead: it ends before this one.
  std::string before_id{};
};

/// GET /v1/models of Anthropic's API.
std::string write_anthropic_models(const std::vector<msg::model_entry>& models,
                                   const model_page& page);

} // namespace skep::actors
