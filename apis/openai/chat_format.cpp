#include "apis/chat/answer_format.hpp"
#include "apis/chat/native.hpp"
#include "apis/chat/sse_frame.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/chunk_writer.hpp"
#include "apis/openai/error_body.hpp"
#include "apis/openai/native_chat.hpp"
#include "runtime/json/members.hpp"
#include "runtime/json/string.hpp"

#include <optional>

namespace skep::actors {

namespace {

/// The provider's own answer, with what every answer has by its name; some name no model.
std::string as_it_came(const msg::chat_reply& reply) {
  auto text = with_id(reply.native.text, reply.id);
  const bool named = text.find("\"model\"") != std::string::npos;
  return named ? text : json::object_with(text, "model", json::quoted(reply.model));
}

class chat_answer final : public answer_format {
public:
  explicit chat_answer(bool include_usage) : include_usage_(include_usage) {}

  std::string whole(const msg::chat_reply& reply) override {
    return reply.native.is(msg::native_api::chat) && !reply.native.text.empty()
             ? as_it_came(reply)
             : write_chat_reply(reply);
  }
  std::string open(const msg::chat_open& begin) override {
    writer_.emplace(begin, include_usage_);
    if (begin.native.is(msg::native_api::chat))
      native_.emplace(begin.id, include_usage_);
    // Else the first chunk of each choice has the role.
    return native_ ? native_->pass(begin.native.text) : std::string{};
  }
  std::string chunk(const msg::chat_chunk& piece) override {
    if (piece.only_native() || (native_ && piece.native.is(msg::native_api::chat))) {
      if (!piece.only_native())
        writer_->note(piece);
      return native_ ? native_->pass(piece.native.text) : std::string{};
    }
    return writer_->frame(piece);
  }
  std::string end(const msg::token_usage& usage) override {
    return writer_->finish(usage, !native_ || !native_->told_usage());
  }
  std::string failed(const failure& why, std::string_view param) override {
    return data_frame(error_body(why, param));
  }

private:
  const bool include_usage_;
  std::optional<chunk_writer> writer_;
  std::optional<native_chat_stream> native_; // The provider's own events go to the client.
};

} // namespace

std::unique_ptr<answer_format> chat_format(bool include_usage) {
  return std::make_unique<chat_answer>(include_usage);
}

} // namespace skep::actors
