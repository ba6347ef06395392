#pragma once

#include "runtime/config/document.hpp"
#include "runtime/config/schema.hpp"

#include <vector>

namespace skep::config {

/// Makes a document: one default struct per section, which the loader fills through storage().
/// Private to this folder.
class document_builder {
public:
  explicit document_builder(const schema& accepted);

  /// The owner the schema's root table reads into: a std::vector<void*>, one per section.
  [[nodiscard]] void* storage() noexcept {
    return &storage_;
  }

  document take(reader& in);
  static void warn(document& made, diagnostics found) {
    made.warnings_ = std::move(found);
  }

private:
  document made_;
  std::vector<void*> storage_;
};

} // namespace skep::config
