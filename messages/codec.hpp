#pragma once

#include "messages/envelope.hpp"
#include "messages/failure.hpp"
#include "messages/message.hpp"

#include <tl/expected.hpp>

#include <string>
#include <string_view>

namespace skep {

/// Appends the message as one msgpack array of its fields, in their order. skep's own messages are
/// compiled into the library; for others, one .cpp of yours includes messages/codec_impl.hpp and
/// says SKEP_CODEC(your::message) at namespace skep.
template <message T>
void encode(const T& value, std::string& out);

/// Reads what encode() wrote, from any bytes whatever. Fewer fields than T has: the rest keep their
/// defaults; more: they are skipped. errc::malformed and errc::too_large say where and what.
template <message T>
tl::expected<T, failure> decode(std::string_view bytes, const decode_limits& limits = {});

} // namespace skep
