#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Tags 0x03xx: providers beyond what chat.hpp has.
namespace skep::msg {

/// Which models a provider has. Answered by models_reply.
struct models_request {
  SKEP_MESSAGE(0x0301, 1)
};

/// One model as the provider lists it.
struct model_entry {
  std::string id;
  /// Seconds since 1970; 0 when the provider does not say.
  std::int64_t created = 0;
  std::string owned_by;
  SKEP_RECORD(id, created, owned_by)
};

struct models_reply {
  std::vector<model_entry> models;
  SKEP_MESSAGE(0x0302, 1, models)
};

} // namespace skep::msg
