#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// `*` stands for any text, slashes too; everything else for itself.
bool glob_matches(std::string_view pattern, std::string_view text);

/// Which models and agents a key may use: names as clients write them, with `*`. An agent goes by
/// "agent/NAME" and NAME, a provider's model by "PROVIDER/MODEL", the default provider's also by
/// MODEL alone. Immutable.
class model_scope {
public:
  explicit model_scope(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  /// With its tiers.
  bool allows_agent(std::string_view name) const;
  bool allows_model(std::string_view provider, std::string_view model, bool by_default) const;

private:
  bool allows(std::string_view name) const;

  const std::vector<std::string> patterns_;
};

/// Null: everything.
using model_scope_ptr = std::shared_ptr<const model_scope>;

/// The same of a scope that may be none.
bool allows_agent(const model_scope_ptr& scope, std::string_view name);
bool allows_model(const model_scope_ptr& scope, std::string_view provider, std::string_view model,
                  std::string_view default_provider);

} // namespace skep::actors
