#pragma once

#include "runtime/config/document.hpp"
#include "runtime/config/option.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <typeindex>
#include <vector>

namespace skep::config {

/// How often a section stands in a file.
enum class cardinality : std::uint8_t {
  /// `[name]`, at most once; read with document::get.
  one,
  /// `[name.NAME]`, once per entry; read with document::all.
  named,
  /// `[[name]]`, once per entry in order; read with document::list.
  many,
};

/// A registered section.
struct section_info {
  /// What the document holds for it: T, named<T> or std::vector<T>.
  std::type_index type;
  std::function<std::shared_ptr<void>()> make;
};

/// A check across sections.
using cross_check = std::function<std::vector<violation>(const document&)>;

/// The sections a configuration may have. Each kind of actor adds its own, so what a node accepts
/// is known only at run time. Fill it first, then load with it; a filled schema is read-only.
class schema {
public:
  schema();

  /// Adds a section. A name already taken is our own bug.
  template <class T>
  void section(std::string name, cardinality how, const table<T>& options, std::string help) {
    auto inner = table_codec(options.info());
    switch (how) {
      case cardinality::one: add<T>(std::move(name), inner, std::move(help)); break;
      case cardinality::named: add<named<T>>(std::move(name), inner, std::move(help)); break;
      case cardinality::many: add<std::vector<T>>(std::move(name), inner, std::move(help)); break;
    }
  }

  /// A name that a role publishes whatever the configuration says, for checks of what others ask
  /// for.
  void provides(std::string published) {
    provided_->insert(std::move(published));
  }
  /// All of them once every role has declared what it has.
  [[nodiscard]] std::shared_ptr<const std::set<std::string>> provided() const noexcept {
    return provided_;
  }

  /// Adds a check across sections, called when everything else was well. The violations' keys are
  /// dotted paths from the top: "agent.support.provider".
  void rule(cross_check check);
  /// The same for what works, but is hardly meant: what it finds are the document's warnings.
  void advice(cross_check check);

  /// The sections as one table whose owner is a document's storage.
  [[nodiscard]] const table_info& root() const noexcept {
    return *root_;
  }
  [[nodiscard]] const std::vector<section_info>& sections() const noexcept {
    return sections_;
  }
  [[nodiscard]] const std::vector<cross_check>& rules() const noexcept {
    return rules_;
  }
  [[nodiscard]] const std::vector<cross_check>& advices() const noexcept {
    return advices_;
  }

private:
  friend class document_builder;

  template <class Held>
  void add(std::string name, const codec_ptr& inner, std::string help) {
    add({typeid(Held), [] { return std::make_shared<Held>(); }}, std::move(name),
        detail::layers<Held>::wrap(inner), std::move(help));
  }
  void add(section_info section, std::string name, codec_ptr kind, std::string help);

  std::shared_ptr<table_info> root_;
  std::vector<section_info> sections_;
  std::vector<cross_check> rules_;
  std::vector<cross_check> advices_;
  std::shared_ptr<std::set<std::string>> provided_ = std::make_shared<std::set<std::string>>();
};

} // namespace skep::config
