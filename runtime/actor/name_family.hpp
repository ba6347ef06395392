#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skep::rt {

/// Who may serve a published name.
enum class name_scope : std::uint8_t {
  /// The node that published it; another node may have an actor of its own with the same name.
  node,
  /// Any node of the cluster: a call goes to one that publishes the name, this node first.
  cluster,
};

/// Names that a kind of actor publishes.
struct name_family {
  /// "agent/" stands for every name below it, "store" for this name alone.
  std::string name;
  name_scope scope = name_scope::node;

  bool covers(std::string_view published) const {
    return name.ends_with('/') ? published.starts_with(name) : published == name;
  }
};

} // namespace skep::rt
