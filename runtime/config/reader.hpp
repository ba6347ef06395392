#pragma once

#include "runtime/config/diagnostic.hpp"
#include "runtime/config/environment.hpp"
#include "runtime/config/value.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace skep::config {

struct option_info;

/// The state of one load: where in the document the reader is, what was wrong so far, and what is
/// worth remembering about values. Used by one thread.
class reader {
public:
  /// More problems than this are counted, not listed.
  static constexpr std::size_t diagnostics_max = 100;

  explicit reader(const environment& env) : env_(env) {}

  void error(const place& at, std::string message);
  [[nodiscard]] std::size_t errors() const noexcept {
    return errors_;
  }

  [[nodiscard]] const environment& env() const noexcept {
    return env_;
  }

  /// The dotted path of what is being read; empty at the top.
  [[nodiscard]] const std::string& path() const noexcept {
    return path_;
  }

  /// Calls `body` one level deeper and remembers where that level was written; nullptr if nowhere.
  /// Messages call it `shown`.
  void inside(std::string_view key, std::string shown, const place* at,
              const std::function<void()>& body);

  /// What messages call the value being read: its quoted key, "models[0]" for the entry of a list.
  [[nodiscard]] std::string name() const;
  [[nodiscard]] const std::string& shown() const noexcept {
    return shown_;
  }

  /// Remembers that the text read here came from the environment, as `reference` says.
  void remember_reference(std::string reference);

  /// The place of a path read so far, or nullptr.
  [[nodiscard]] const place* place_of(const std::string& path) const;

  /// The value an alias variable gives the option, if one is set and nothing stronger is `given`.
  [[nodiscard]] std::optional<value> alias_value(const option_info& option,
                                                 const value* given) const;

  /// Everything found, in the order of `main_file`'s lines first, and "N more" as the last if it
  /// was too much.
  diagnostics take_diagnostics(std::string_view main_file);
  std::map<std::string, std::string> take_references();
  std::map<std::string, place> take_places();

private:
  const environment& env_;
  std::string path_;
  std::string shown_;
  std::size_t errors_ = 0;
  diagnostics found_;
  std::map<std::string, std::string> references_;
  std::map<std::string, place> places_;
};

/// The bounds of a whole number and the unit it counts in ("milliseconds", "bytes" or "").
struct integer_limits {
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string unit;
};

/// The value as a whole number within the limits, or nothing and an error.
std::optional<std::int64_t> read_integer(const value& from, const integer_limits& limits,
                                         reader& in);

/// The value as a finite number within the limits, or nothing and an error. Integers will do.
std::optional<double> read_float(const value& from, double min, double max, reader& in);

/// The value as text (what came from a variable or argument always is), or nothing and an error.
std::optional<std::string> read_text(const value& from, reader& in);

/// The index of the value among the words an option takes, or nothing and an error.
std::optional<std::size_t> read_word(const value& from, const std::vector<std::string>& words,
                                     reader& in);

/// Calls `each` for every element of a list, or reports that there is none.
void read_list(const value& from, reader& in, const std::function<void(const value&)>& each);

/// Calls `each` for every key of a table, or reports that there is none.
void read_members(const value& from, reader& in, const std::function<void(const member&)>& each);

/// The unit a key's last part names: "ttl_ms" counts milliseconds, "size_bytes" bytes; rates such
/// as "tokens_per_s" and anything else count nothing in particular.
std::string unit_of(std::string_view key);

/// "1 to 10", "1 or more", "at most 10" or "".
std::string range_text(const integer_limits& limits);
std::string range_text(double min, double max);

} // namespace skep::config
