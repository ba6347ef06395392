#pragma once

// The one place where skep's failures become CAF's errors and back.
#include "messages/failure.hpp"

#include <caf/error.hpp>
#include <caf/make_message.hpp>

CAF_ERROR_CODE_ENUM(skep::errc, "skep")

namespace skep {

/// The failure as CAF carries it; detail and retry-after are kept.
caf::error to_caf_error(const failure& why);

/// What a CAF error means to us: our own as they were made, CAF's `sec` codes and exit reasons as
/// the errc that fits.
failure from_caf_error(const caf::error& why);

} // namespace skep
