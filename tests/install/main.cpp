// What a user of the installed tree writes: a message and an agent of their own, served over HTTP
// by a skep node in their own process.
#include "actors/roles.hpp"
#include "messages/chat.hpp"
#include "messages/codec_impl.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/config/loader.hpp"
#include "runtime/net/http_client.hpp"
#include "runtime/node/node.hpp"
#include "runtime/testing/test_system.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <future>
#include <iostream>

namespace outside {

/// Asks how many calls the agent has served.
struct count_request {
  SKEP_MESSAGE(0x8000'0001, 1)
};

struct count_reply {
  std::uint64_t served = 0;
  SKEP_MESSAGE(0x8000'0002, 1, served)
};

using skep::msg::inspect;

/// Repeats what the user said, louder.
class shouting_agent : public skep::rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const skep::rt::call& c, const skep::msg::chat_request& r) { shout(c, r); },
      [this](const skep::rt::call& c, const count_request&) { reply(c, count_reply{served_}); },
      [this](const skep::rt::call& c, const skep::rt::http_call& asked) { show(c, asked); },
    };
  }

private:
  void shout(const skep::rt::call& c, const skep::msg::chat_request& r) {
    ++served_;
    auto text = r.messages.back().content;
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
    skep::msg::chat_reply answer;
    answer.id = "shout-" + std::to_string(served_);
    answer.model = r.model;
    answer.choices.emplace_back();
    answer.choices.back().content = std::move(text);
    answer.choices.back().finish_reason = "stop";
    reply(c, std::move(answer));
  }

  void show(const skep::rt::call& c, const skep::rt::http_call& asked) {
    skep::net::http_response page;
    page.headers.add("content-type", "text/plain");
    page.body = c.context.tenant + " asked for " + asked.request->path + ": "
                + std::to_string(served_) + " served";
    c.lease->reply(skep::rt::http_answer{std::move(page)});
  }

  std::uint64_t served_ = 0;
};

/// A provider: says of every request how many messages it has.
class counting_provider : public skep::rt::bounded_actor {
public:
  using bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {[this](const skep::rt::call& c, const skep::msg::chat_request& r) {
      skep::msg::chat_reply answer;
      answer.id = "count-1";
      answer.model = r.model;
      answer.choices.emplace_back();
      answer.choices.back().content = std::to_string(r.messages.size()) + " messages";
      answer.choices.back().finish_reason = "stop";
      reply(c, std::move(answer)); // Whole, to who wants a stream as well.
    }};
  }
};

skep::rt::role counting_role() {
  skep::rt::role made;
  made.name = "counting";
  made.publishes = {{"provider/", skep::rt::name_scope::cluster}};
  made.declare = [](skep::config::schema& accepted) { accepted.provides("provider/counting"); };
  made.build = [](skep::rt::role_context& node) -> skep::expected<void> {
    const auto& kind = node.kind("counting", {});
    auto& env = node.env();
    skep::rt::child_spec spec;
    spec.name = "provider/counting";
    spec.start = [&env, &kind] { return env.spawn<counting_provider>(kind); };
    node.supervise(std::move(spec));
    return {};
  };
  return made;
}

skep::rt::role shouting_role() {
  skep::rt::role made;
  made.name = "shout";
  made.publishes = {{"agent/", skep::rt::name_scope::cluster}};
  made.build = [](skep::rt::role_context& node) -> skep::expected<void> {
    const auto& kind = node.kind("shout", {});
    auto& env = node.env();
    skep::rt::child_spec spec;
    spec.name = "agent/shout";
    spec.start = [&env, &kind] { return env.spawn<shouting_agent>(kind); };
    const auto agent = node.supervise(std::move(spec));
    node.serve({"/v1/shouts/", "GET", skep::rt::access::client, agent});
    return {};
  };
  return made;
}

} // namespace outside

namespace skep {
SKEP_CODEC(outside::count_request)
SKEP_CODEC(outside::count_reply)
} // namespace skep

namespace {

class waiter : public skep::net::fetch_handler {
public:
  void on_done(skep::net::fetch_result result) noexcept override {
    done.set_value(std::move(result));
  }
  std::promise<skep::net::fetch_result> done;
};

std::string fetch(skep::net::fetch_request request) {
  skep::net::http_client client{skep::net::fetch_config{}};
  auto handler = std::make_shared<waiter>();
  auto result = handler->done.get_future();
  if (!client.start(std::move(request), handler))
    return {};
  return result.get().body;
}

std::string post(const std::string& endpoint, const std::string& body) {
  skep::net::fetch_request request;
  request.method = "POST";
  request.url = "http://" + endpoint + "/v1/chat/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = body;
  return fetch(std::move(request));
}

std::string get(const std::string& endpoint, const std::string& path) {
  skep::net::fetch_request request;
  request.method = "GET";
  request.url = "http://" + endpoint + path;
  return fetch(std::move(request));
}

bool check(bool fine, const char* what) {
  std::cout << (fine ? "ok: " : "FAILED: ") << what << '\n';
  return fine;
}

/// The agent alone, on the virtual clock.
bool test_agent() {
  skep::rt::test_system sys;
  const auto agent = sys.spawn<outside::shouting_agent>(sys.kind("shout"));
  skep::msg::chat_request request;
  request.messages = {{"user", "hello", {}}};
  const auto answer = sys.ask_for<skep::msg::chat_reply>(agent, request);
  const auto count = sys.ask_for<outside::count_reply>(agent, outside::count_request{});
  return check(answer && answer->choices.at(0).content == "HELLO", "the agent answers a test")
         & check(count && count->served == 1, "the agent answers a message of its own");
}

bool test_codec() {
  std::string bytes;
  skep::encode(outside::count_reply{7}, bytes);
  const auto back = skep::decode<outside::count_reply>(bytes);
  return check(back && back->served == 7, "an outside message has a codec");
}

/// The agent in a node, over HTTP.
bool test_node() {
  auto roles = skep::actors::all_roles();
  roles.push_back(outside::shouting_role());
  roles.push_back(outside::counting_role());
  skep::config::sources from;
  from.file = "outside.toml";
  from.text = "[gateway]\nlisten = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n"
              "[agent.counter]\ninstructions = \"Count.\"\nmodels = [\"counting/any\"]\n";
  const auto config = skep::config::load(skep::rt::node::schema_of(roles), from);
  if (!check(config.has_value(), "the configuration is well-formed"))
    return false;
  const auto node = skep::rt::node::start(*config, roles);
  if (!check(node.has_value(), "the node starts"))
    return false;
  const auto body = post((*node)->status().endpoint,
                         R"({"model":"shout","messages":[{"role":"user","content":"hello"}]})");
  const auto counted
    = post((*node)->status().endpoint,
           R"({"model":"counter","messages":[{"role":"user","content":"hello"}]})");
  const auto page = get((*node)->status().endpoint, "/v1/shouts/today");
  return check(body.find("HELLO") != std::string::npos, "the agent answers over HTTP")
         & check(counted.find("2 messages") != std::string::npos,
                 "a provider of the user's own answers for an agent")
         & check(page == "default asked for /v1/shouts/today: 1 served",
                 "an endpoint of the agent's own is served");
}

} // namespace

int main() {
  const bool fine = test_agent() & test_codec() & test_node();
  return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}
