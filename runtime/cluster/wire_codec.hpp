#pragma once

// Heads and failures as envelopes carry them; private to runtime/cluster.
#include "messages/codec.hpp"
#include "messages/core.hpp"
#include "messages/envelope.hpp"
#include "runtime/cluster/wire_port.hpp"

namespace skep::rt {

/// A failure as the payload of failed, down and exit.
inline std::string encoded(const failure& why) {
  std::string payload;
  encode(msg::failure_message(why), payload);
  return payload;
}

inline failure failure_of(std::string_view payload) {
  auto got = skep::decode<msg::failure_reply>(payload);
  return got ? msg::failure_from(std::move(*got)) : got.error();
}

/// The head of an envelope for an actor of the other node.
inline envelope head_to(envelope_kind kind, incarnation self, incarnation life,
                        const wire_target& target) {
  envelope head;
  head.kind = kind;
  head.source.incarnation = self;
  head.target = {life, target.number};
  head.target_name = target.name;
  return head;
}

/// The head of an envelope that carries a failure.
inline envelope failure_head(envelope_kind kind, incarnation self, std::uint64_t correlation) {
  envelope head;
  head.kind = kind;
  head.source.incarnation = self;
  head.correlation = correlation;
  head.tag = msg::failure_reply::message_tag;
  return head;
}

} // namespace skep::rt
