#pragma once

#include "messages/failure.hpp"

#include <string>
#include <vector>

namespace skep::actors {

/// Nobody has the model: says so, why as far as that shows, and which of the names that the caller
/// may know is near. Without `providers` nothing is said about them.
failure unknown_model(const std::string& model, const std::vector<std::string>& agents,
                      const std::vector<std::string>& providers);

/// The model is there, but not for this key.
failure out_of_scope(const std::string& model);

} // namespace skep::actors
