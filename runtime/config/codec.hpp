#pragma once

#include "runtime/config/reader.hpp"
#include "runtime/config/secret.hpp"
#include "runtime/config/value.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace skep::config {

struct table_info;

/// How a field stands in TOML.
enum class form : std::uint8_t {
  /// `key = …`
  scalar,
  /// `[key]`
  table,
  /// `[[key]]`, once per entry
  tables,
  /// `[key.NAME]`, once per entry
  named_tables,
};

/// What people are told about a field.
struct shape {
  form as = form::scalar;
  /// "integer, milliseconds".
  std::string type;
  /// "1 to 10", or the words an enum takes; empty when anything goes.
  std::string range;
  /// A value in TOML to show where the default is "not given".
  std::string example;
  /// The options inside, unless scalar. Lives as long as the codec.
  const table_info* inner = nullptr;
};

/// Reads, prints and describes a field of one type. Stateless after construction, so any thread may
/// use it; `field` points to an object of the type the codec was made for.
class codec {
public:
  codec() = default;
  codec(const codec&) = delete;
  codec& operator=(const codec&) = delete;
  virtual ~codec() = default;

  /// Stores the value in the field, or reports to `in` why not and leaves the field alone.
  virtual void read(const value& from, void* field, reader& in) const = 0;
  /// The field as it would be written; std::monostate when it has no value.
  [[nodiscard]] virtual value write(const void* field) const = 0;
  [[nodiscard]] virtual shape describe() const = 0;
  /// True when read() is also called, with an empty table, for a key that is not there: a table
  /// that was left out may hold required options and options set by the environment.
  [[nodiscard]] virtual bool reads_absent() const {
    return false;
  }
};

using codec_ptr = std::shared_ptr<const codec>;

/// Another name for an option, in the environment: its number is multiplied by `factor`, for names
/// that count in another unit (CACHE_TTL is in seconds, `ttl_ms` is not).
struct env_alias {
  std::string name;
  std::int64_t factor = 1;
};

/// What a check found: the key it concerns (relative to what was checked; may be empty) and why.
struct violation {
  std::string key;
  std::string message;
};

/// One row of an option table, its types erased.
struct option_info {
  std::string key;
  std::string help;
  codec_ptr kind;
  /// From the struct to the field.
  std::function<void*(void*)> field;
  bool required = false;
  std::vector<env_alias> aliases;
};

/// An option table, its types erased.
struct table_info {
  std::vector<option_info> options;
  std::vector<std::function<std::optional<violation>(const void*)>> checks;
  /// A struct with the defaults.
  std::function<std::shared_ptr<void>()> make;
};

using table_ptr = std::shared_ptr<const table_info>;

/// Reads a table into a struct: unknown keys, missing keys, each option, then the checks (these
/// only if the rest was well, since they would judge values nobody wrote).
void read_table(const table_info& table, const value& from, void* owner, reader& in);

/// Every option of a struct, in the order of its table.
value write_table(const table_info& table, const void* owner);

codec_ptr bool_codec();
codec_ptr string_codec();
codec_ptr secret_codec();
codec_ptr table_codec(table_ptr inner);

} // namespace skep::config
