#include "runtime/config/loader.hpp"

#include "runtime/config/document_builder.hpp"
#include "runtime/config/override.hpp"
#include "runtime/config/parse.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace skep::config {

namespace {

/// Where a violation belongs: the nearest written level above its key, or the file as a whole.
place nearest_place(const document& doc, std::string path, const std::string& file) {
  for (;;) {
    if (const auto* at = doc.place_of(path))
      return *at;
    auto dot = path.rfind('.');
    if (dot == std::string::npos)
      return {file};
    path.resize(dot);
  }
}

diagnostics found_by(const std::vector<cross_check>& checks, const document& doc,
                     const std::string& file) {
  diagnostics problems;
  for (const auto& rule : checks)
    for (const auto& found : rule(doc))
      problems.emplace_back(nearest_place(doc, found.key, file), found.message);
  return problems;
}

} // namespace

load_result load(const schema& accepted, const sources& from) {
  auto tree = parse(from.text, from.file);
  if (!tree)
    return tl::make_unexpected(diagnostics{tree.error()});
  diagnostics overrides;
  apply_environment(*tree, from.env, overrides);
  for (const auto& argument : from.arguments)
    apply_argument(*tree, argument, overrides);

  document_builder builder{accepted};
  reader in{from.env};
  read_table(accepted.root(), *tree, builder.storage(), in);
  auto problems = in.take_diagnostics(from.file);
  problems.insert(problems.end(), overrides.begin(), overrides.end());
  if (!problems.empty())
    return tl::make_unexpected(std::move(problems));

  auto doc = builder.take(in);
  problems = found_by(accepted.rules(), doc, from.file);
  if (!problems.empty())
    return tl::make_unexpected(std::move(problems));
  document_builder::warn(doc, found_by(accepted.advices(), doc, from.file));
  return doc;
}

load_result load_file(const schema& accepted, const std::string& path, environment env,
                      std::vector<std::string> arguments) {
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  std::ostringstream text;
  // A folder opens like a file and fails on the first read.
  if (in && in.peek() != std::ifstream::traits_type::eof())
    text << in.rdbuf();
  if (!in.is_open() || in.bad()) {
    const auto* why = errno != 0 ? std::strerror(errno) : "it cannot be read";
    return tl::make_unexpected(
      diagnostics{{place{path}, std::string{"cannot read the file: "} + why}});
  }
  return load(accepted, {path, text.str(), std::move(env), std::move(arguments)});
}

} // namespace skep::config
