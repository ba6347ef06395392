#include "runtime/config/document.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/config/document_builder.hpp"

#include <algorithm>

namespace skep::config {

const void* document::held(std::string_view section, std::type_index type) const {
  for (const auto& s : sections_)
    if (s.name == section) {
      SKEP_ASSERT(s.type == type);
      return s.held.get();
    }
  SKEP_ASSERT(!"the schema has this section");
  return nullptr;
}

bool document::has(std::string_view section) const {
  return std::any_of(sections_.begin(), sections_.end(),
                     [&](const entry& each) { return each.name == section; });
}

const place* document::place_of(const std::string& path) const {
  auto found = places_.find(path);
  return found == places_.end() ? nullptr : &found->second;
}

std::string document::reference_of(const std::string& path) const {
  auto found = references_.find(path);
  return found == references_.end() ? std::string{} : found->second;
}

value document::write() const {
  object made;
  for (std::size_t i = 0; i < sections_.size(); ++i)
    made.push_back({sections_[i].name, {}, root_->options[i].kind->write(sections_[i].held.get())});
  return make_value(std::move(made));
}

document_builder::document_builder(const schema& accepted) {
  made_.root_ = accepted.root_;
  for (std::size_t i = 0; i < accepted.sections_.size(); ++i) {
    const auto& section = accepted.sections_[i];
    made_.sections_.push_back({accepted.root_->options[i].key, section.type, section.make()});
    storage_.push_back(made_.sections_.back().held.get());
  }
}

document document_builder::take(reader& in) {
  made_.places_ = in.take_places();
  made_.references_ = in.take_references();
  return std::move(made_);
}

} // namespace skep::config
