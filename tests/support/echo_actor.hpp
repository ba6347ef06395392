#pragma once

// Small actors that the actor and wire tests send to.
#include "messages/chat.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"

#include <list>
#include <stdexcept>
#include <string>
#include <vector>

namespace skep::test {

/// What the test tells a worker to do with each request, by the request's model name:
/// "echo" answers, "hold" keeps it open, "stream" sends `chunks_total` chunks as credit allows,
/// "silent" returns without an answer, "drop" takes the call and drops it, "throw" crashes.
class worker : public rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

  static constexpr int chunks_total = 10;

  /// Model names in the order they were served.
  static std::vector<std::string>& served() {
    static std::vector<std::string> log;
    return log;
  }
  static int& cancels() {
    static int count = 0;
    return count;
  }
  static void reset() {
    served().clear();
    cancels() = 0;
  }

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const rt::call& c, const msg::chat_request& r) { serve(c, r); },
      [](const rt::call&, const msg::ack&) { served().push_back("ack"); },
    };
  }

private:
  struct job {
    rt::responder out;
    int sent = 0;
  };

  void serve(const rt::call& c, const msg::chat_request& r) {
    served().push_back(r.model);
    if (r.model == "throw")
      throw std::runtime_error("as the test asked");
    if (r.model == "silent")
      return;
    if (r.model == "drop") {
      auto out = take(c);
      return;
    }
    if (r.model == "hold" || r.model == "stream") {
      keep(c, r.model == "stream");
      return;
    }
    msg::chat_reply answer;
    answer.model = r.model;
    reply(c, std::move(answer));
  }

  void keep(const rt::call& c, bool streams) {
    auto at = jobs_.emplace(jobs_.end());
    at->out = take(c);
    at->out.on_cancel([this, at] {
      ++cancels();
      jobs_.erase(at);
    });
    if (!streams)
      return;
    at->out.on_credit([this, at](std::uint64_t) { pump(at); });
    at->out.open(msg::chat_open{});
    pump(at);
  }

  void pump(std::list<job>::iterator at) {
    while (at->sent < chunks_total && at->out.credit() > 0) {
      msg::chat_chunk piece;
      piece.content = std::to_string(at->sent++);
      at->out.chunk(std::move(piece));
    }
    if (at->sent == chunks_total) {
      at->out.end(msg::chat_end{});
      jobs_.erase(at);
    }
  }

  std::list<job> jobs_;
};

/// A request for one of the above.
inline msg::chat_request please(std::string what) {
  msg::chat_request r;
  r.model = std::move(what);
  return r;
}

/// What one chunk of a worker's stream costs in credit.
inline std::uint64_t chunk_cost() {
  msg::chat_chunk piece;
  piece.content = "0";
  return bytes_of(piece);
}

} // namespace skep::test
