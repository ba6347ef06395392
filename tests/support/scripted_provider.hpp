#pragma once

// An agent's surroundings: providers that do as the test says, and who asks them.
#include "actors/agent/agent.hpp"
#include "actors/cache/shard.hpp"
#include "actors/flight/flight.hpp"
#include "actors/pool/pool.hpp"
#include "runtime/testing/test_system.hpp"

#include <deque>
#include <map>
#include <optional>

namespace skep::test {

/// A provider whose next answers the test scripts; it writes down what it was asked.
class scripted_provider : public rt::bounded_actor {
public:
  struct script {
    std::deque<failure> failures; // The next calls fail like this, then they are answered.
    std::vector<msg::chat_request> asked;
    std::string text = "four";
    std::string finish_reason = "stop";
    bool cut_after_first_chunk = false;
    bool hold = false;
    int cancels = 0;
    /// Held calls, for the test to answer by hand.
    std::deque<rt::responder> held;
  };

  scripted_provider(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                    script& s)
    : rt::bounded_actor(config, env, kind), script_(s) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::chat_request& r) { serve(c, r); }};
  }

private:
  void serve(const rt::call& c, const msg::chat_request& r) {
    script_.asked.push_back(r);
    if (!script_.failures.empty()) {
      const auto why = script_.failures.front();
      script_.failures.pop_front();
      refuse(c, why);
      return;
    }
    out_ = take(c);
    out_.on_cancel([this] { ++script_.cancels; });
    if (script_.hold) {
      script_.held.push_back(std::move(out_));
      return;
    }
    if (r.stream)
      stream(r);
    else
      whole(r);
  }

  void whole(const msg::chat_request& r) {
    msg::chat_reply reply;
    reply.id = "chatcmpl-1";
    reply.model = r.model;
    reply.choices.emplace_back();
    reply.choices.back().content = script_.text;
    reply.choices.back().finish_reason = script_.finish_reason;
    reply.usage.prompt = 7;
    out_.reply(std::move(reply));
  }

  void stream(const msg::chat_request& r) {
    out_.open(msg::chat_open{"chatcmpl-1", 1, r.model, {}, {}});
    for (const char letter : script_.text) {
      msg::chat_chunk piece;
      piece.content = letter;
      out_.chunk(std::move(piece));
      if (script_.cut_after_first_chunk) {
        out_.fail(failure{errc::stream_cut, "the provider hung up"});
        return;
      }
    }
    msg::chat_chunk last;
    last.finish_reason = script_.finish_reason;
    out_.chunk(std::move(last));
    msg::chat_end end;
    end.usage.prompt = 7;
    out_.end(std::move(end));
  }

  script& script_;
  rt::responder out_;
};

} // namespace skep::test
