#pragma once

#include "messages/codec.hpp"
#include "messages/envelope.hpp"
#include "runtime/actor/call.hpp"
#include "runtime/base/expected.hpp"

#include <string>
#include <string_view>
#include <typeindex>
#include <unordered_map>

namespace skep::rt {

/// How one message type crosses the wire: from CAF's tuples to bytes and back.
struct wire_type {
  std::uint32_t tag = 0;
  /// Appends the payload at `position` as msgpack.
  void (*encode)(const caf::type_erased_tuple& content, std::size_t position, std::string& out);
  /// Makes the element a local actor gets: (call, payload). The call's bytes are set here.
  expected<caf::mailbox_element_ptr> (*make_call)(caf::strong_actor_ptr sender, caf::message_id mid,
                                                  call c, std::string_view payload);
  /// Hands an answer on. False in the result: the call was already settled.
  expected<bool> (*answer)(lease& to, envelope_kind kind, std::string_view payload);
};

/// Every message type that may cross the wire, by tag and by C++ type. Filled before the node
/// starts, read by all threads afterwards.
class wire_types {
public:
  /// Knows skep's own messages already.
  wire_types();

  template <message T>
  void add() {
    const wire_type entry{T::message_tag, &encode_payload<T>, &make_call<T>, &deliver_answer<T>};
    by_tag_.insert_or_assign(entry.tag, entry);
    by_type_.insert_or_assign(std::type_index{typeid(T)}, entry);
  }

  /// Null when nobody registered the tag.
  const wire_type* find(std::uint32_t tag) const;
  /// Null when the value at `position` is no registered message.
  const wire_type* find(const caf::type_erased_tuple& content, std::size_t position) const;

private:
  template <message T>
  static void encode_payload(const caf::type_erased_tuple& content, std::size_t position,
                             std::string& out) {
    skep::encode(content.get_as<T>(position), out);
  }
  template <message T>
  static expected<caf::mailbox_element_ptr>
  make_call(caf::strong_actor_ptr sender, caf::message_id mid, call c, std::string_view payload) {
    auto value = skep::decode<T>(payload);
    if (!value)
      return fail(value.error());
    c.bytes = bytes_of(*value);
    return caf::make_mailbox_element(std::move(sender), mid, {}, std::move(c), std::move(*value));
  }
  template <message T>
  static expected<bool> deliver_answer(lease& to, envelope_kind kind, std::string_view payload) {
    auto value = skep::decode<T>(payload);
    if (!value)
      return fail(value.error());
    switch (kind) {
      case envelope_kind::reply: return to.reply(std::move(*value));
      case envelope_kind::open: return to.open(std::move(*value));
      case envelope_kind::end: return to.end(std::move(*value));
      case envelope_kind::chunk: {
        const auto bytes = bytes_of(*value);
        return to.chunk(std::move(*value), bytes);
      }
      default: return fail(errc::malformed, "an envelope of this kind carries no answer");
    }
  }

  std::unordered_map<std::uint32_t, wire_type> by_tag_;
  std::unordered_map<std::type_index, wire_type> by_type_;
};

} // namespace skep::rt
