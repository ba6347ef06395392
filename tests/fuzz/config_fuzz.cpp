#include "runtime/config/emit.hpp"
#include "runtime/config/loader.hpp"
#include "tests/unit/config/sample.hpp"

#include <cstdint>
#include <cstdlib>

/// Any bytes give a configuration or diagnostics. A configuration that loads prints to text that
/// loads again and prints the same. The bytes up to the first NUL are the file, those up to the
/// next are one --set argument, the rest is a variable's text. Only one of the two is used: a
/// variable that an argument overrides would override the printed text in its turn.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skep::config;
  static const auto accepted = sample::sections();

  std::string parts[3];
  std::size_t part = 0;
  for (std::size_t i = 0; i < size; ++i)
    if (data[i] == 0 && part < 2)
      ++part;
    else
      parts[part].push_back(static_cast<char>(data[i]));

  sources from{"fuzz.toml", parts[0], environment{{{"KEY", "text"}}}, {}};
  if (!parts[1].empty())
    from.arguments.push_back(parts[1]);
  else if (!parts[2].empty())
    from.env = environment{{{"KEY", "text"}, {"SKEP_AGENT__FUZZ__MODEL", parts[2]}}};

  auto first = load(accepted, from);
  if (!first) {
    if (first.error().empty() || to_string(first.error()).empty())
      std::abort();
    return 0;
  }
  auto text = dump(*first);
  auto second = load(accepted, {"dump.toml", text, from.env, {}});
  if (!second || dump(*second) != text)
    std::abort();
  return 0;
}
