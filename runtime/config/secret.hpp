#pragma once

#include <string>
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

} // namespace skep::config
