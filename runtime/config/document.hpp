#pragma once

#include "runtime/config/codec.hpp"
#include "runtime/config/diagnostic.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

namespace skep::config {

/// The entries of a section whose tables carry names, in the order of the names.
template <class T>
using named = std::vector<std::pair<std::string, T>>;

/// A checked configuration: the structs, filled. Asking for a section the schema does not have, or
/// with another type, is our own bug and aborts. Read-only, so any thread may use it; the
/// references live as long as the document.
class document {
public:
  /// The section of cardinality `one`; the defaults if the file leaves it out.
  template <class T>
  [[nodiscard]] const T& get(std::string_view section) const {
    return *static_cast<const T*>(held(section, typeid(T)));
  }

  /// The entries of a section of cardinality `named`.
  template <class T>
  [[nodiscard]] const named<T>& all(std::string_view section) const {
    return *static_cast<const named<T>*>(held(section, typeid(named<T>)));
  }

  /// The entries of a section of cardinality `many`, in the order of the file.
  template <class T>
  [[nodiscard]] const std::vector<T>& list(std::string_view section) const {
    return *static_cast<const std::vector<T>*>(held(section, typeid(std::vector<T>)));
  }

  /// Whether the schema has this section: a role cannot know which others there are.
  [[nodiscard]] bool has(std::string_view section) const;

  /// Where a dotted path ("agent.support.model") was written; nullptr if nobody wrote it.
  [[nodiscard]] const place* place_of(const std::string& path) const;

  /// "env.NAME" if the text at the path came from the environment, else "".
  [[nodiscard]] std::string reference_of(const std::string& path) const;

  /// What works, but is hardly meant.
  [[nodiscard]] const diagnostics& warnings() const noexcept {
    return warnings_;
  }

  /// Every section as it would be written.
  [[nodiscard]] value write() const;

private:
  friend class document_builder;

  [[nodiscard]] const void* held(std::string_view section, std::type_index type) const;

  struct entry {
    std::string name;
    std::type_index type;
    std::shared_ptr<void> held;
  };
  std::vector<entry> sections_;
  table_ptr root_;
  std::map<std::string, place> places_;
  std::map<std::string, std::string> references_;
  diagnostics warnings_;
};

} // namespace skep::config
