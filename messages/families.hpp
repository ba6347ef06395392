#pragma once

#include "messages/cache.hpp"
#include "messages/chat.hpp"
#include "messages/cluster.hpp"
#include "messages/core.hpp"
#include "messages/flight.hpp"
#include "messages/provider.hpp"
#include "messages/semantic.hpp"
#include "messages/store.hpp"

#include <cstddef>

namespace skep {

/// A list of types, for code that does the same for each.
template <class... Ts>
struct type_list {
  static constexpr std::size_t size = sizeof...(Ts);
};

namespace detail {

template <class... Lists>
struct concatenation;

template <class... Ts>
struct concatenation<type_list<Ts...>> {
  using type = type_list<Ts...>;
};

template <class... Ts, class... Us, class... Lists>
struct concatenation<type_list<Ts...>, type_list<Us...>, Lists...>
  : concatenation<type_list<Ts..., Us...>, Lists...> {};

} // namespace detail

/// The types of several lists as one list.
template <class... Lists>
using concat = typename detail::concatenation<Lists...>::type;

using core_messages = type_list<msg::failure_reply, msg::ack>;
using chat_messages
  = type_list<msg::chat_request, msg::chat_reply, msg::chat_open, msg::chat_chunk, msg::chat_end>;
using cache_messages
  = type_list<msg::cache_get_request, msg::cache_get_reply, msg::cache_put_request,
              msg::cache_clear_request, msg::cache_fill_request, msg::cache_release_request>;
using provider_messages
  = type_list<msg::models_request, msg::models_reply, msg::embed_request, msg::embed_reply>;
using cluster_messages = type_list<msg::node_hello, msg::node_refusal, msg::link_beat,
                                   msg::member_state, msg::node_announce, msg::node_drain_request>;
using flight_messages = type_list<msg::flight_request, msg::flight_join_request>;
using semantic_messages = type_list<msg::semantic_find_request, msg::semantic_find_reply,
                                    msg::semantic_learn_request, msg::semantic_revoke_request>;
using store_messages
  = type_list<msg::store_put_request, msg::store_put_reply, msg::store_get_request,
              msg::store_get_reply, msg::store_erase_request, msg::store_scan_request,
              msg::store_scan_reply>;

/// Every message that crosses the wire. The codec, the schema, the types of the wire, the fuzz
/// targets and the samples of the tests derive from this list.
using all_messages = concat<core_messages, chat_messages, cache_messages, provider_messages,
                            cluster_messages, flight_messages, semantic_messages, store_messages>;

} // namespace skep
