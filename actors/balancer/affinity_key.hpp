#pragma once

#include "messages/chat.hpp"

#include <cstddef>
#include <cstdint>

namespace skep::actors {

/// What the calls of one conversation have in common: the model and the first `bytes_max` bytes of
/// its messages, up to the end of the first one by the user, since a conversation that grows keeps
/// all of that. Conversations that differ only behind it have the same key. XXH3, 64 bits; no
/// allocation.
std::uint64_t prefix_key(const msg::chat_request& request, std::size_t bytes_max) noexcept;

} // namespace skep::actors
