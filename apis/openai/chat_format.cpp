#include "apis/chat/answer_format.hpp"
#include "apis/chat/sse_frame.hpp"
#include "apis/openai/chat_json.hpp"
#include "apis/openai/chunk_writer.hpp"
#include "apis/openai/error_body.hpp"

#include <optional>

namespace skep::actors {

namespace {

class chat_answer final : public answer_format {
public:
  explicit chat_answer(bool include_usage) : include_usage_(include_usage) {}

  std::string whole(const msg::chat_reply& reply) override {
    return write_chat_reply(reply);
  }
  std::string open(const msg::chat_open& begin) override {
    writer_.emplace(begin, include_usage_);
    return {}; // The first chunk of each choice has the role.
  }
  std::string chunk(const msg::chat_chunk& piece) override {
    return writer_->frame(piece);
  }
  std::string end(const msg::token_usage& usage) override {
    return writer_->finish(usage);
  }
  std::string failed(const failure& why, std::string_view param) override {
    return data_frame(error_body(why, param));
  }

private:
  const bool include_usage_;
  std::optional<chunk_writer> writer_;
};

} // namespace

std::unique_ptr<answer_format> chat_format(bool include_usage) {
  return std::make_unique<chat_answer>(include_usage);
}

} // namespace skep::actors
