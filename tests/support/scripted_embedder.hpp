#pragma once

// A provider of vectors that does as the test says, in virtual time, and an embedder before it.
#include "actors/embedder/embedder.hpp"
#include "runtime/telemetry/registry.hpp"
#include "runtime/testing/test_system.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace skep::test {

/// What a scripted embedder was asked and how it answers.
struct embedder_script {
  std::vector<msg::embed_request> asked;
  std::vector<context> contexts;
  int cancels = 0;
  /// How long call n takes, from 0; the others take `usual`.
  std::map<std::size_t, duration> slow;
  duration usual = 50ms;
  /// Call n fails like this, after its time.
  std::map<std::size_t, failure> failures;
  /// A batch with a text that contains this is refused as `why_bad`.
  std::string bad = "bad";
  errc why_bad = errc::bad_request;
  /// Vectors too few in each answer.
  std::size_t missing = 0;
  /// A text's vector; by itself the text's own bytes.
  std::function<std::string(const std::string&)> vector_of
    = [](const std::string& text) { return text; };
};

/// Answers each text with its vector, and counts one token per text.
class scripted_embedder : public rt::bounded_actor {
public:
  scripted_embedder(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                    embedder_script& script)
    : bounded_actor(config, env, kind), script_(script) {}

protected:
  caf::behavior make_behavior() override {
    return {[this](const rt::call& c, const msg::embed_request& request) { serve(c, request); }};
  }

private:
  void serve(const rt::call& c, const msg::embed_request& request) {
    const auto number = script_.asked.size();
    script_.asked.push_back(request);
    script_.contexts.push_back(c.context);
    const auto slow = script_.slow.find(number);
    auto out = std::make_shared<rt::responder>(take(c));
    const auto timer = after(slow == script_.slow.end() ? script_.usual : slow->second,
                             [this, out, number, request] { answer(*out, number, request); });
    out->on_cancel([this, timer] {
      ++script_.cancels;
      cancel_timer(timer);
    });
  }

  void answer(rt::responder& out, std::size_t number, const msg::embed_request& request) {
    if (const auto why = script_.failures.find(number); why != script_.failures.end())
      return out.fail(why->second);
    msg::embed_reply made{request.model + "-1", {}, request.texts.size()};
    for (const auto& text : request.texts) {
      if (text.find(script_.bad) != std::string::npos)
        return out.fail(failure{script_.why_bad, "the provider does not like \"" + text + "\""});
      made.embeddings.push_back({script_.vector_of(text)});
    }
    made.embeddings.resize(made.embeddings.size() - script_.missing);
    out.reply(std::move(made));
  }

  embedder_script& script_;
};

/// "embed/up" in front of "provider/up", one thread, a virtual clock.
struct embedding_desk {
  explicit embedding_desk(actors::embeddings_config rules = {},
                          rt::test_system::hops how = rt::test_system::hops::native)
    : sys(how) {
    provider = sys.spawn<scripted_embedder>(sys.kind("up"), script);
    front
      = sys.spawn<actors::embedder>(sys.kind("embedder"), "up", rules, [this] { return provider; });
  }

  std::shared_ptr<rt::answers> ask(std::vector<std::string> texts, duration deadline = 10s,
                                   const std::string& parameters = {}) {
    return sys.ask(front, msg::embed_request{"m", std::move(texts), {}, parameters},
                   sys.context(deadline));
  }
  /// One vector after the other, with a space between, or the error's name.
  static std::string text_of(const rt::answers& got) {
    if (!got.complete())
      return "(none yet)";
    const auto* reply = got.last<msg::embed_reply>();
    if (reply == nullptr)
      return "! " + std::string{to_string(got.why().code)};
    std::string text;
    for (const auto& each : reply->embeddings)
      text += (text.empty() ? "" : " ") + each.values;
    return text;
  }
  static std::string text_of(const std::shared_ptr<rt::answers>& got) {
    return text_of(*got);
  }
  double metric(const std::string& name) const {
    for (const auto& family : const_cast<embedding_desk*>(this)->sys.env().metrics().collect())
      if (family.name == "skep_embedder_" + name)
        return std::visit([](const auto& value) { return number(value); },
                          family.series.front().value);
    return -1;
  }

  embedder_script script;
  rt::test_system sys;
  caf::actor provider;
  caf::actor front;

private:
  static double number(const telemetry::shared_histogram& value) {
    return static_cast<double>(value->count());
  }
  template <class Number>
  static double number(const Number& value) {
    return static_cast<double>(value);
  }
};

} // namespace skep::test
