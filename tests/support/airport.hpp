#pragma once

// tidy: allow size, flights with everybody around them

// Flights of two nodes above one test_system, with a provider and a cache that do as told.
#include "actors/flight/kept.hpp"
#include "messages/codec.hpp"
#include "tests/support/scripted_provider.hpp"

namespace skep::test {

/// A cache that answers as the test says and writes down what it was told.
class scripted_cache : public rt::bounded_actor {
public:
  struct script {
    std::deque<msg::cache_get_reply> answers; // For the next gets; then they are won.
    std::vector<msg::cache_get_request> gets;
    std::vector<msg::cache_put_request> puts;
    time_point put_before{}; // The last put's deadline.
    std::vector<msg::cache_release_request> releases;
    bool silent = false;
    std::vector<rt::responder> unanswered; // While silent.
    std::uint64_t leases = 100;
  };

  scripted_cache(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                 script& s)
    : rt::bounded_actor(config, env, kind), script_(s) {}

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const rt::call& c, const msg::cache_get_request& r) {
        script_.gets.push_back(r);
        if (script_.silent) {
          script_.unanswered.push_back(take(c));
          return;
        }
        msg::cache_get_reply turn;
        turn.found = false;
        turn.turn = static_cast<std::uint8_t>(msg::cache_turn::won);
        turn.lease = ++script_.leases;
        if (!script_.answers.empty()) {
          turn = script_.answers.front();
          script_.answers.pop_front();
        }
        reply(c, std::move(turn));
      },
      [this](const rt::call& c, const msg::cache_put_request& r) {
        script_.puts.push_back(r);
        script_.put_before = c.context.deadline;
      },
      [this](const rt::call&, const msg::cache_release_request& r) {
        script_.releases.push_back(r);
      },
    };
  }

private:
  script& script_;
};

/// A semantic cache that finds what the test says and writes down what it was told.
class scripted_semantic : public rt::bounded_actor {
public:
  struct script {
    std::optional<failure> trouble;
    msg::semantic_find_reply found;
    std::vector<msg::semantic_find_request> finds;
    std::vector<msg::semantic_learn_request> learnt;
  };

  scripted_semantic(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                    script& s)
    : bounded_actor(config, env, kind), script_(s) {}

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const rt::call& c, const msg::semantic_find_request& r) {
        script_.finds.push_back(r);
        if (script_.trouble)
          refuse(c, *script_.trouble);
        else
          reply(c, script_.found);
      },
      [this](const rt::call&, const msg::semantic_learn_request& r) {
        script_.learnt.push_back(r);
      },
    };
  }

private:
  script& script_;
};

/// Two nodes' flights, a provider and a scripted cache.
struct airport {
  explicit airport(actors::flight_config rules = {},
                   rt::test_system::hops how = rt::test_system::hops::native)
    : sys(how) {
    cache_actor = sys.spawn<scripted_cache>(sys.kind("cache"), cache);
    auto provider = sys.spawn<scripted_provider>(sys.kind("provider", 10'000), upstream);
    actors::flight_peers peers;
    peers.cache = cache_actor;
    peers.semantic = sys.spawn<scripted_semantic>(sys.kind("semantic"), semantic);
    peers.provider = [provider](const std::string&) { return provider; };
    peers.flights_of = [this](const std::string& node) { return nodes[node]; };
    for (const auto* name : {"here", "there"}) {
      rules.node = name;
      nodes[name] = sys.spawn<actors::flight>(sys.kind("flight", 10'000), name, rules, peers);
    }
  }
  ~airport() {
    upstream.held.clear();
    cache.unanswered.clear();
  }

  static msg::flight_request wish(std::uint64_t key, bool stream = false) {
    msg::flight_request r;
    r.agent = "pilot";
    r.routes = {{"provider", "big"}};
    r.messages = {{"user", "2+2?", {}}};
    r.stream = stream;
    r.cached = true;
    r.key = {7, key};
    r.value_max = 1 << 20;
    r.deadline_ms = 10'000;
    return r;
  }
  std::shared_ptr<rt::answers> ask(msg::flight_request r, std::uint64_t window = 1 << 16,
                                   const char* node = "here") {
    return sys.ask(nodes[node], std::move(r), sys.context(), window);
  }
  static msg::chat_reply reply_of(std::string text) {
    msg::chat_reply reply;
    reply.id = "chatcmpl-1";
    reply.choices.emplace_back();
    reply.choices.back().content = std::move(text);
    reply.choices.back().finish_reason = "stop";
    return reply;
  }
  static msg::cache_get_reply entry(const std::string& text) {
    msg::cache_get_reply found;
    found.value = actors::begin_kept(default_tenant);
    encode(reply_of(text), found.value);
    found.ttl_s = 60;
    return found;
  }
  static msg::cache_get_reply wait_for(const char* leader, std::uint64_t lease) {
    msg::cache_get_reply turn;
    turn.found = false;
    turn.turn = static_cast<std::uint8_t>(msg::cache_turn::wait);
    turn.leader = leader;
    turn.lease = lease;
    return turn;
  }
  static msg::chat_chunk piece(std::string text) {
    msg::chat_chunk p;
    p.content = std::move(text);
    return p;
  }
  static std::string text_of(const rt::answers& got) {
    if (const auto* reply = got.last<msg::chat_reply>())
      return reply->choices.at(0).content;
    std::string text;
    for (std::size_t n = 0; n < got.size(); ++n)
      if (const auto* part = got.get<msg::chat_chunk>(n))
        text += part->content;
    return text;
  }
  static msg::cache_status status_of(const rt::answers& got) {
    if (const auto* reply = got.last<msg::chat_reply>())
      return static_cast<msg::cache_status>(reply->origin.cache);
    return static_cast<msg::cache_status>(got.get<msg::chat_open>(0)->origin.cache);
  }
  std::uint64_t counter(const char* name, const char* node = "here") {
    return sys.env().metrics().counter(name, "", {{"flight", node}}).value();
  }
  std::int64_t gauge(const char* name, const char* node = "here") {
    return sys.env().metrics().gauge(name, "", {{"flight", node}}).value();
  }

  scripted_provider::script upstream;
  scripted_cache::script cache;
  scripted_semantic::script semantic;
  rt::test_system sys;
  caf::actor cache_actor;
  std::map<std::string, caf::actor> nodes;
};

} // namespace skep::test
