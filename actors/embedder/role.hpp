#pragma once

#include "runtime/node/role.hpp"

namespace skep::actors {

/// `[embeddings]`: publishes "embed/NAME", which batches and hedges requests for vectors, in front
/// of each provider of this node.
rt::role embedder_role();

} // namespace skep::actors
