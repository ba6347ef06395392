// The gateway's POST /v1/completions.
#include "actors/gateway/gateway.hpp"
#include "apis/openai/completions_format.hpp"
#include "apis/openai/completions_json.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace skep::actors {

namespace {

// Calls of one request that are at work at the same time. They pass the same bounds as calls of
// many clients do, so a request of many prompts must not fill those alone.
constexpr std::size_t prompts_at_work_max = 8;

/// The calls for the prompts of one request, answered as one reply. Lives in the handlers of its
/// calls, on the gateway's thread. The first failure is the request's; whoever is still at work is
/// told to stop then, and when the client goes away.
class prompt_batch : public std::enable_shared_from_this<prompt_batch> {
public:
  prompt_batch(rt::bounded_actor& owner, rt::responder out, completions_body body, caf::actor to,
               skep::context context)
    : owner_(owner), out_(std::move(out)), body_(std::move(body)), to_(std::move(to)),
      context_(std::move(context)), replies_(body_.prompts.size()) {}

  void start() {
    out_.on_cancel([weak = weak_from_this()] {
      if (const auto alive = weak.lock())
        alive->stop();
    });
    const auto first = std::min(prompts_at_work_max, body_.prompts.size());
    for (std::size_t n = 0; n < first && out_; ++n)
      ask_next();
  }

private:
  void ask_next();
  void answered(std::size_t prompt, const rt::answer& got);
  void stop();

  rt::bounded_actor& owner_;
  rt::responder out_;
  const completions_body body_;
  const caf::actor to_;
  const skep::context context_;
  std::vector<rt::request_key> asked_;
  std::vector<msg::chat_reply> replies_;
  std::size_t next_ = 0;
  std::size_t answered_ = 0;
};

void prompt_batch::ask_next() {
  if (next_ == body_.prompts.size())
    return;
  const auto prompt = next_++;
  asked_.push_back(owner_.ask(
    to_, context_, completion_chat(body_, prompt),
    [self = shared_from_this(), prompt](const rt::answer& got) { self->answered(prompt, got); }));
}

void prompt_batch::answered(std::size_t prompt, const rt::answer& got) {
  if (!out_)
    return; // The request has its answer already.
  if (const auto* reply = got.get<msg::chat_reply>()) {
    replies_[prompt] = *reply;
    if (++answered_ == replies_.size())
      out_.reply(merged_completions(std::move(replies_), body_.choices));
    else
      ask_next();
    return;
  }
  out_.fail(got.what == rt::answer::kind::failed
              ? got.why
              : failure{errc::unexpected_message, "the agent streams what was to be whole"});
  stop();
}

void prompt_batch::stop() {
  // Giving up a request frees its handler, and with the last one this batch.
  const auto keep = shared_from_this();
  next_ = body_.prompts.size();
  for (const auto key : std::exchange(asked_, {}))
    owner_.give_up(key);
}

} // namespace

void gateway::completions(const rt::call& c, const http_arrival& arrival) {
  auto body = read_completions_body(arrival.request->body);
  if (!body) {
    arrival.client->blame(body.error().param);
    return refuse(c, body.error().why);
  }
  completions_wish wish{body->echo ? body->prompts : std::vector<std::string>{}, body->choices,
                        body->include_usage};
  auto format = completions_format(std::move(wish));
  if (body->prompts.size() == 1)
    return pass_chat(c, arrival, completion_chat(*body, 0), std::move(format));
  auto way = find_way(c, arrival, body->request);
  if (!way)
    return;
  arrival.client->passed_on(std::move(way->to.label), false, std::move(format));
  std::make_shared<prompt_batch>(*this, take(c), std::move(*body), std::move(way->to.handle),
                                 std::move(way->context))
    ->start();
}

} // namespace skep::actors
