// The format of the Responses API: a writer's events, or the provider's own.
#include "apis/openai/native_response.hpp"
#include "apis/openai/responses_format.hpp"

namespace skep::actors {

namespace {

/// Every stream of our own events ends in it, those that failed as well.
constexpr auto last_frame = "data: [DONE]\n\n";

class response_answer final : public answer_format {
public:
  explicit response_answer(response_head head)
    : names_{head.id, head.previous}, writer_(std::move(head)) {}

  std::string whole(const msg::chat_reply& reply) override {
    if (is_native(reply.native) && !reply.native.text.empty())
      return with_names(reply.native.text, names_);
    writer_.take(reply);
    return writer_.object();
  }
  std::string open(const msg::chat_open& begin) override {
    native_ = is_native(begin.native);
    return native_ ? response_frames(begin.native.text, names_) : writer_.begin(begin);
  }
  std::string chunk(const msg::chat_chunk& piece) override {
    if (native_)
      return response_frames(piece.native.text, names_);
    return piece.only_native() ? std::string{} : writer_.add(piece);
  }
  std::string end(const msg::token_usage& usage) override {
    return native_ ? std::string{} : writer_.end(usage) + last_frame;
  }
  std::string failed(const failure& why, std::string_view param) override {
    return writer_.fail(why, param) + last_frame;
  }

private:
  static bool is_native(const msg::native_text& given) {
    return given.is(msg::native_api::responses);
  }

  const response_names names_;
  response_writer writer_;
  bool native_ = false; // The provider's own events go to the client.
};

} // namespace

std::unique_ptr<answer_format> responses_format(response_head head) {
  return std::make_unique<response_answer>(std::move(head));
}

} // namespace skep::actors
