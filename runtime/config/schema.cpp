#include "runtime/config/schema.hpp"

#include <algorithm>

namespace skep::config {

schema::schema() : root_(std::make_shared<table_info>()) {}

void schema::rule(cross_check check) {
  rules_.push_back(std::move(check));
}

void schema::advice(cross_check check) {
  advices_.push_back(std::move(check));
}

void schema::add(section_info section, std::string name, codec_ptr kind, std::string help) {
  const auto& taken = root_->options;
  SKEP_ASSERT(
    std::none_of(taken.begin(), taken.end(), [&](const option_info& s) { return s.key == name; }));
  option_info added;
  added.key = std::move(name);
  added.help = std::move(help);
  added.kind = std::move(kind);
  added.field = [index = sections_.size()](void* owner) {
    return static_cast<std::vector<void*>*>(owner)->at(index);
  };
  root_->options.push_back(std::move(added));
  sections_.push_back(std::move(section));
}

} // namespace skep::config
