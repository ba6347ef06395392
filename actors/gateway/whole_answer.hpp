#pragma once

#include "apis/chat/answer_format.hpp"
#include "messages/chat.hpp"
#include "runtime/net/http_message.hpp"

namespace skep::actors {

/// The response that is a whole answer under the name in `head`. What follows the name is marked as
/// what others may have, too. Any thread.
net::http_response whole_answer(answer_format& format, const msg::chat_reply& reply,
                                const msg::chat_open& head);

} // namespace skep::actors
