#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace skep::config {

/// The environment variables a configuration may see; a value, so that tests bring their own.
class environment {
public:
  using variables = std::map<std::string, std::string, std::less<>>;

  environment() = default;
  explicit environment(variables set);

  /// A copy of this process' environment. Not to be called while another thread changes it.
  static environment of_process();

  /// The variable's text. An empty variable counts as unset: shells and container tools often
  /// pass one on when nothing was meant.
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;

  [[nodiscard]] const variables& all() const noexcept {
    return set_;
  }

private:
  variables set_;
};

/// The NAME in "env.NAME", or nothing when the text is no such reference. Names are letters,
/// digits and underscores and do not begin with a digit.
std::optional<std::string> reference_name(std::string_view text);

} // namespace skep::config
