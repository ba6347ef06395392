// A node with an agent of its own: it answers with the question, in capitals.
#include "actors/roles.hpp"
#include "messages/chat.hpp"
#include "program/node_main.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/node/role.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace {

using namespace skep;

class shouting_agent : public rt::bounded_actor {
public:
  using rt::bounded_actor::bounded_actor;

protected:
  caf::behavior make_behavior() override {
    return {
      // Runs on one thread at a time; whoever asked gets the reply, wherever he is.
      [this](const rt::call& c, const msg::chat_request& request) {
        auto text = request.messages.back().content;
        std::transform(text.begin(), text.end(), text.begin(), [](unsigned char letter) {
          return static_cast<char>(std::toupper(letter));
        });
        msg::chat_choice choice;
        choice.content = std::move(text);
        choice.finish_reason = "stop";
        msg::chat_reply reply;
        reply.model = "shout";
        reply.choices.push_back(std::move(choice));
        this->reply(c, std::move(reply));
      },
    };
  }
};

/// What the node is told of this kind of actor: its names, and how to start it.
rt::role shouting_role() {
  rt::role made;
  made.name = "shout";
  made.publishes = {{"agent/", rt::name_scope::cluster}};
  made.build = [](rt::role_context& node) -> expected<void> {
    const auto& kind = node.kind("shout", {});
    auto& env = node.env();
    rt::child_spec spec;
    spec.name = "agent/shout";
    spec.start = [&env, &kind] { return env.spawn<shouting_agent>(kind); };
    node.supervise(std::move(spec));
    return {};
  };
  return made;
}

} // namespace

int main(int argc, char** argv) {
  auto roles = actors::all_roles();
  roles.push_back(shouting_role());
  return node_main(argc, argv, {"own-agent", "1.0", "A node that can shout", std::move(roles)});
}
