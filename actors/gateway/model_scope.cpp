#include "actors/gateway/model_scope.hpp"

#include <algorithm>

namespace skep::actors {

bool glob_matches(std::string_view pattern, std::string_view text) {
  // Where to go on when what follows the last star does not fit: the star takes one byte more.
  auto star = std::string_view::npos;
  std::size_t taken = 0;
  std::size_t at = 0;
  std::size_t p = 0;
  while (at < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = at;
    } else if (p < pattern.size() && pattern[p] == text[at]) {
      ++p;
      ++at;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      at = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool model_scope::allows(std::string_view name) const {
  return std::any_of(patterns_.begin(), patterns_.end(),
                     [&](const std::string& each) { return glob_matches(each, name); });
}

bool model_scope::allows_agent(std::string_view name) const {
  return allows(name) || allows("agent/" + std::string{name});
}

bool model_scope::allows_model(std::string_view provider, std::string_view model,
                               bool by_default) const {
  return (by_default && allows(model)) || allows(std::string{provider}.append("/").append(model));
}

bool allows_agent(const model_scope_ptr& scope, std::string_view name) {
  return !scope || scope->allows_agent(name);
}

bool allows_model(const model_scope_ptr& scope, std::string_view provider, std::string_view model,
                  std::string_view default_provider) {
  return !scope || scope->allows_model(provider, model, provider == default_provider);
}

} // namespace skep::actors
