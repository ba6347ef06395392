#include "runtime/node/role_order.hpp"

#include <algorithm>

namespace skep::rt {

namespace {

using role_list = std::vector<const role*>;

const role* find(const role_list& all, const std::string& name) {
  const auto at
    = std::find_if(all.begin(), all.end(), [&](const role* each) { return each->name == name; });
  return at == all.end() ? nullptr : *at;
}

/// The first of a role's needs that `placed` lacks; null when it has them all.
const std::string* missing_need(const role& of, const role_list& placed) {
  const auto at = std::find_if(of.needs.begin(), of.needs.end(), [&](const std::string& need) {
    return find(placed, need) == nullptr;
  });
  return at == of.needs.end() ? nullptr : &*at;
}

expected<role_list> named_once(std::span<const role> roles) {
  role_list all;
  for (const auto& each : roles) {
    if (find(all, each.name) != nullptr)
      return fail(errc::actor_failed, "two roles are called " + each.name);
    all.push_back(&each);
  }
  return all;
}

expected<void> check_needs(const role_list& all) {
  for (const auto* each : all)
    if (const auto* need = missing_need(*each, all))
      return fail(errc::actor_failed,
                  "the role " + each->name + " needs " + *need + ", and no role is called that");
  return {};
}

/// "a needs b, b needs c, c needs a", of roles none of which has all its needs in `placed`.
std::string circle_among(const role_list& waiting, const role_list& placed) {
  role_list path;
  const auto* at = waiting.front();
  while (find(path, at->name) == nullptr) {
    path.push_back(at);
    at = find(waiting, *missing_need(*at, placed));
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  std::string text;
  for (const auto* each : path)
    text += (text.empty() ? "" : ", ") + each->name + " needs " + *missing_need(*each, placed);
  return text;
}

bool overlap(const name_family& a, const name_family& b) {
  return a.covers(b.name) || b.covers(a.name);
}

} // namespace

expected<std::vector<const role*>> build_order(std::span<const role> roles) {
  auto waiting = named_once(roles);
  if (!waiting)
    return fail(waiting.error());
  if (auto known = check_needs(*waiting); !known)
    return fail(known.error());
  role_list placed;
  while (!waiting->empty()) {
    const auto next = std::find_if(waiting->begin(), waiting->end(), [&](const role* each) {
      return missing_need(*each, placed) == nullptr;
    });
    if (next == waiting->end())
      return fail(errc::actor_failed,
                  "roles need each other in a circle: " + circle_among(*waiting, placed));
    placed.push_back(*next);
    waiting->erase(next);
  }
  return placed;
}

expected<std::vector<name_family>> families_of(std::span<const role> roles) {
  struct owned {
    const role* owner;
    name_family family;
  };
  std::vector<owned> known;
  for (const auto& each : roles)
    for (const auto& family : each.publishes) {
      for (const auto& other : known)
        if (overlap(family, other.family) && family.scope != other.family.scope)
          return fail(errc::actor_failed, "the roles " + other.owner->name + " and " + each.name
                                            + " disagree on which nodes serve " + other.family.name
                                            + " and " + family.name);
      known.push_back({&each, family});
    }
  std::vector<name_family> all;
  for (auto& each : known)
    all.push_back(std::move(each.family));
  return all;
}

} // namespace skep::rt
