#include "messages/cache_record.hpp"
#include "messages/codec_impl.hpp"
#include "messages/families.hpp"

namespace skep {

namespace detail {

std::string field_name(std::string_view list, std::size_t n) {
  while (n > 0 && !list.empty()) {
    const auto comma = list.find(',');
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    --n;
  }
  list = list.substr(0, list.find(','));
  list.remove_prefix(std::min(list.find_first_not_of(' '), list.size()));
  return std::string{list};
}

} // namespace detail

SKEP_CODEC(msg::failure_reply)
SKEP_CODEC(msg::ack)
SKEP_CODEC(msg::chat_request)
SKEP_CODEC(msg::chat_reply)
SKEP_CODEC(msg::chat_open)
SKEP_CODEC(msg::chat_chunk)
SKEP_CODEC(msg::chat_end)
SKEP_CODEC(msg::cache_get_request)
SKEP_CODEC(msg::cache_get_reply)
SKEP_CODEC(msg::cache_put_request)
SKEP_CODEC(msg::cache_clear_request)
SKEP_CODEC(msg::models_request)
SKEP_CODEC(msg::models_reply)
SKEP_CODEC(msg::cache_fill_request)
SKEP_CODEC(msg::node_hello)
SKEP_CODEC(msg::node_refusal)
SKEP_CODEC(msg::link_beat)
SKEP_CODEC(msg::member_state)
SKEP_CODEC(msg::node_announce)
SKEP_CODEC(msg::node_drain_request)
SKEP_CODEC(msg::cache_release_request)
SKEP_CODEC(msg::embed_request)
SKEP_CODEC(msg::embed_reply)
SKEP_CODEC(msg::flight_request)
SKEP_CODEC(msg::flight_join_request)
SKEP_CODEC(msg::semantic_find_request)
SKEP_CODEC(msg::semantic_find_reply)
SKEP_CODEC(msg::semantic_learn_request)
SKEP_CODEC(msg::semantic_revoke_request)
SKEP_CODEC(msg::store_put_request)
SKEP_CODEC(msg::store_put_reply)
SKEP_CODEC(msg::store_get_request)
SKEP_CODEC(msg::store_get_reply)
SKEP_CODEC(msg::store_erase_request)
SKEP_CODEC(msg::store_scan_request)
SKEP_CODEC(msg::store_scan_reply)
SKEP_CODEC(msg::cache_record)

} // namespace skep
