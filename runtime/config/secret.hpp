#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace skep::config {

/// A credential. A configuration names the environment variable that holds it (`env.NAME`), never
/// the credential itself; what is printed is that reference. There is no operator<< and no
/// formatter on purpose.
class secret {
public:
  /// No credential is configured.
  secret() = default;

  secret(std::string variable, std::string text)
    : variable_(std::move(variable)), text_(std::move(text)) {}

  /// True when no credential is configured.
  [[nodiscard]] bool empty() const noexcept {
    return variable_.empty();
  }

  /// The credential: for the header of a request, never for a log or a message.
  [[nodiscard]] const std::string& reveal() const noexcept {
    return text_;
  }

  /// "env.NAME", or "" when empty.
  [[nodiscard]] std::string reference() const {
    return empty() ? std::string{} : "env." + variable_;
  }

  friend bool operator==(const secret&, const secret&) = default;

private:
  std::string variable_;
  std::string text_;
};

/// "user:password@" in front of a URL's host: a credential, in a place that is printed.
[[nodiscard]] inline bool has_user(std::string_view url) noexcept {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos)
    return false;
  url.remove_prefix(scheme + 3);
  return url.substr(0, url.find_first_of("/?#")).find('@') != std::string_view::npos;
}

} // namespace skep::config
