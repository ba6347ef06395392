#pragma once

#include "runtime/actor/environment.hpp"
#include "runtime/cluster/cluster_port.hpp"

#include <memory>
#include <string>

namespace skep::rt {

/// A node without `[cluster]`: a cluster of one, which owns every slot and knows its own names.
/// `env` must outlive it.
std::unique_ptr<cluster_port> make_solo_cluster(environment& env, std::string node);

} // namespace skep::rt
