#include "actors/gateway/unknown_model.hpp"

#include "runtime/config/diagnostic.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

namespace skep::actors {

namespace {

// No name of ours is longer by much; a guess for a longer one would be none.
constexpr std::size_t guessed_max = 128;

std::optional<std::string> nearest_of(const std::string& name,
                                      const std::vector<std::string>& all) {
  return name.size() <= guessed_max ? config::nearest(name, all) : std::nullopt;
}

/// The name that was meant, if it is near one of ours.
std::optional<std::string> guess(const std::string& model, const std::vector<std::string>& agents,
                                 const std::vector<std::string>& providers) {
  const auto slash = model.find('/');
  if (slash != std::string::npos)
    if (const auto provider = nearest_of(model.substr(0, slash), providers))
      return *provider + model.substr(slash);
  return nearest_of(model, agents);
}

} // namespace

failure unknown_model(const std::string& model, const std::vector<std::string>& agents,
                      const std::vector<std::string>& providers) {
  auto text = "the model \"" + model + "\" does not exist";
  const auto slash = model.find('/');
  const auto provider = model.substr(0, slash);
  if (slash != std::string::npos && slash > 0 && !providers.empty()
      && std::find(providers.begin(), providers.end(), provider) == providers.end())
    text += ": there is no provider \"" + provider + "\"";
  if (const auto near = guess(model, agents, providers))
    text += "; did you mean \"" + *near + "\"?";
  return failure{errc::not_found, text + "; GET /v1/models lists what there is"};
}

failure out_of_scope(const std::string& model) {
  return failure{errc::forbidden, "this key may not use the model \"" + model
                                    + "\"; GET /v1/models lists those it may"};
}

} // namespace skep::actors
