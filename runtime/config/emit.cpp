#include "runtime/config/emit.hpp"

#include "runtime/config/document_builder.hpp"
#include "runtime/config/toml_text.hpp"

#include <fmt/format.h>

#include <sstream>

namespace skep::config {

namespace {

/// "integer, milliseconds; 0 to 10; required; or the variable X" for one option.
std::string traits_text(const option_info& option, const shape& of) {
  std::string text = of.type;
  if (!of.range.empty())
    text += "; " + of.range;
  if (option.required)
    text += "; required";
  for (const auto& alias : option.aliases)
    text += alias.factor == 1
              ? fmt::format("; or the variable {}", alias.name)
              : fmt::format("; or the variable {} times {}", alias.name, alias.factor);
  return text;
}

/// The path of what is inside a table.
std::string inner_path(form as, const std::string& path) {
  return as == form::named_tables ? path + ".NAME" : path;
}

/// "[path]", "[[path]]" or "[path.NAME]".
std::string header_text(form as, const std::string& path) {
  auto inner = inner_path(as, path);
  return as == form::tables ? fmt::format("[[{}]]", inner) : fmt::format("[{}]", inner);
}

/// Breaks text into lines of at most 100 columns, each after `lead`.
void wrap(std::string& out, std::string_view lead, const std::string& text) {
  std::istringstream words{text};
  std::string line{lead};
  for (std::string word; words >> word;) {
    if (line.size() + word.size() + 1 > 100 && line.size() > lead.size()) {
      out += line + "\n";
      line = lead;
    }
    line += (line.size() > lead.size() ? " " : "") + word;
  }
  out += line + "\n";
}

/// Writes configs/all-options.toml.
class options_printer {
public:
  /// One table and those inside it. `lead` is "# " below a table that has no default entry.
  void print(const table_info& table, const void* defaults, const std::string& path,
             const std::string& lead) {
    for (const auto& option : table.options)
      if (auto of = option.kind->describe(); of.as == form::scalar)
        print_scalar(option, of, defaults, lead);
    for (const auto& option : table.options)
      if (auto of = option.kind->describe(); of.as != form::scalar)
        print_table(option, of, defaults, join_path(path, option.key), lead);
  }

  std::string out;

private:
  void print_scalar(const option_info& option, const shape& of, const void* defaults,
                    const std::string& lead) {
    wrap(out, "## ", fmt::format("{} ({})", option.help, traits_text(option, of)));
    auto given = option.kind->write(option.field(const_cast<void*>(defaults)));
    if (std::holds_alternative<std::monostate>(given.data))
      out += fmt::format("# {} = {}\n", option.key, of.example);
    else
      out += fmt::format("{}{} = {}\n", lead, option.key, toml_inline(given));
  }

  void print_table(const option_info& option, const shape& of, const void* defaults,
                   const std::string& path, std::string lead) {
    const void* field = option.field(const_cast<void*>(defaults));
    // Only a table that is always there has defaults to print; entries people add, and optional
    // tables, are shown as examples.
    const auto given = option.kind->write(field);
    const auto* entries = of.as == form::table ? std::get_if<object>(&given.data) : nullptr;
    if (!entries)
      lead = "# ";
    out += "\n";
    wrap(out, "## ",
         of.inner ? option.help : fmt::format("{} ({})", option.help, traits_text(option, of)));
    out += lead + header_text(of.as, path) + "\n";
    if (!of.inner)
      print_entries(of, entries);
    else if (entries)
      print(*of.inner, field, path, lead);
    else
      print(*of.inner, of.inner->make().get(), inner_path(of.as, path), lead);
  }

  /// A table whose keys people choose: its default entries, or how one looks.
  void print_entries(const shape& of, const object* entries) {
    if (!entries || entries->empty())
      out += fmt::format("# {}\n", of.example);
    else
      for (const auto& entry : *entries)
        out += fmt::format("{} = {}\n", key_text(entry.key), toml_inline(entry.held));
  }
};

/// Escapes what would end a cell.
std::string cell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|')
      out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

/// Writes docs/configuration.md.
class markdown_printer {
public:
  void print(const table_info& table, const void* defaults, const std::string& path, int level) {
    std::string rows;
    for (const auto& option : table.options)
      if (auto of = option.kind->describe(); of.as == form::scalar || !of.inner)
        rows += row(option, of, defaults);
    if (!rows.empty())
      out += "\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n" + rows;
    for (const auto& option : table.options)
      if (auto of = option.kind->describe(); of.inner)
        section(option, of, join_path(path, option.key), level);
  }

  std::string out;

private:
  static std::string row(const option_info& option, const shape& of, const void* defaults) {
    auto given = option.kind->write(option.field(const_cast<void*>(defaults)));
    auto shown = std::holds_alternative<std::monostate>(given.data)
                   ? std::string{"none"}
                   : fmt::format("`{}`", toml_inline(given));
    return fmt::format("| `{}` | {} | {} | {} |\n", option.key, cell(traits_text(option, of)),
                       option.required ? "required" : cell(shown), cell(option.help));
  }

  void section(const option_info& option, const shape& of, const std::string& path, int level) {
    out += fmt::format("\n{} `{}`\n\n{}\n", std::string(static_cast<std::size_t>(level), '#'),
                       header_text(of.as, path), option.help);
    auto fresh = of.inner->make();
    print(*of.inner, fresh.get(), inner_path(of.as, path), level < 6 ? level + 1 : level);
  }
};

/// Replaces text that came from the environment by its reference.
void hide(value& v, const std::string& path, const document& doc) {
  if (auto reference = doc.reference_of(path); !reference.empty()) {
    v.data = std::move(reference);
    return;
  }
  if (auto* members = std::get_if<object>(&v.data))
    for (auto& m : *members)
      hide(m.held, join_path(path, m.key), doc);
  if (auto* elements = std::get_if<array>(&v.data))
    for (std::size_t i = 0; i < elements->size(); ++i)
      hide((*elements)[i], join_path(path, std::to_string(i)), doc);
}

} // namespace

std::string dump(const document& doc) {
  auto all = doc.write();
  hide(all, {}, doc);
  // Sections nobody wrote an entry for.
  std::erase_if(std::get<object>(all.data), [](const member& section) {
    const auto* entries = std::get_if<object>(&section.held.data);
    const auto* list = std::get_if<array>(&section.held.data);
    return (entries && entries->empty()) || (list && list->empty());
  });
  return toml_document(all);
}

std::string all_options_toml(const schema& accepted) {
  options_printer printer;
  printer.out = "## Every option with its default, written from the option tables; do not edit.\n"
                "## Lines with ## explain; lines with one # can be uncommented.\n";
  document_builder defaults{accepted};
  printer.print(accepted.root(), defaults.storage(), {}, {});
  return std::move(printer.out);
}

std::string markdown(const schema& accepted) {
  markdown_printer printer;
  printer.out
    = "<!-- Written by `skep check --markdown > docs/configuration.md`. -->\n\n"
      "# Configuration\n\n"
      "Every option of every section. This page is written from the option tables; do not "
      "edit it.\n\n"
      "Later sources win: the defaults below, the file, the variables named in the tables, "
      "`SKEP_SECTION__KEY` variables (two underscores between levels), `--set "
      "section.key=value`. `\"env.NAME\"` stands for the text of an environment variable; "
      "secrets can be given only so.\n";
  document_builder defaults{accepted};
  printer.print(accepted.root(), defaults.storage(), {}, 2);
  return std::move(printer.out);
}

} // namespace skep::config
