// The gateway's answers about models: what agents there are, and what providers say they have.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/unknown_model.hpp"
#include "apis/openai/chat_json.hpp"
#include "messages/provider.hpp"

#include <algorithm>
#include <utility>

namespace skep::actors {

namespace {

constexpr duration models_deadline = 5s;

/// Agents are models of ours that were not created at any time.
msg::model_entry entry_of_agent(std::string name) {
  return {std::move(name), 0, "skep"};
}

/// Gathers what several providers say and answers when the last one has. Lives in the handlers of
/// the gateway's requests.
struct model_list {
  // A gateway that ends fails the call through it.
  rt::responder open_call;
  rt::lease_ptr token;
  std::vector<msg::model_entry> agents;
  // By provider, not in the order of their answers: the list is the same each time.
  std::vector<std::vector<msg::model_entry>> models;
  std::size_t waiting = 0;

  void finish() {
    std::string body = R"({"object":"list","data":[)";
    const auto append = [&body](const auto& entries) {
      for (const auto& each : entries) {
        if (body.back() != '[')
          body += ',';
        body += write_model(each);
      }
    };
    append(agents);
    for (const auto& provider : models)
      append(provider);
    token->reply(http_answer{stable_response(200, body + "]}")});
  }
};

/// Looks for one model among a provider's; the same life as a model_list.
struct model_search {
  rt::responder open_call;
  rt::lease_ptr token;
  std::string shown;
  std::string wanted;

  void finish(const rt::answer& got) {
    if (const auto* reply = got.get<msg::models_reply>()) {
      const auto same = [this](const auto& each) { return each.id == wanted; };
      const auto entry = std::find_if(reply->models.begin(), reply->models.end(), same);
      if (entry == reply->models.end())
        return fail(failure{errc::not_found, "the model \"" + shown + "\" does not exist"});
      auto found = *entry;
      found.id = shown;
      token->reply(http_answer{stable_response(200, write_model(found))});
      return;
    }
    fail(got.what == rt::answer::kind::failed
           ? got.why
           : failure{errc::malformed, "the provider's answer is no list of models"});
  }
  void fail(const failure& why) {
    token->fail(why);
  }
};

} // namespace

void gateway::all_models(const rt::call& c, const http_arrival& arrival) {
  if (!c.lease)
    return;
  auto list = std::make_shared<model_list>();
  list->token = c.lease;
  for (auto& name : router_.agents(arrival.models))
    list->agents.push_back(entry_of_agent(std::move(name)));
  const auto providers = router_.providers();
  if (providers.empty())
    return list->finish();
  list->waiting = providers.size();
  list->models.resize(providers.size());
  list->open_call = take(c);
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + models_deadline);
  for (std::size_t n = 0; n < providers.size(); ++n) {
    const auto& provider = providers[n];
    const bool plain = provider == router_.default_provider();
    ask(router_.provider(provider), context, msg::models_request{},
        [list, provider, plain, n, scope = arrival.models](const rt::answer& got) {
          // One that does not answer is left out; the others are no worse for it.
          if (const auto* reply = got.get<msg::models_reply>())
            for (auto entry : reply->models) {
              if (scope && !scope->allows_model(provider, entry.id, plain))
                continue;
              if (!plain)
                entry.id = provider + "/" + entry.id;
              list->models[n].push_back(std::move(entry));
            }
          if (--list->waiting == 0)
            list->finish();
        });
  }
}

void gateway::one_model(const rt::call& c, const http_arrival& arrival) {
  const auto id = model_id_of(arrival.request->path);
  const auto refuse_with = [&](failure why) {
    arrival.client->blame("model");
    refuse(c, std::move(why));
  };
  if (router_.has_agent(id) && !allows_agent(arrival.models, id))
    return refuse_with(out_of_scope(id));
  if (router_.has_agent(id))
    return answer(c, stable_response(200, write_model(entry_of_agent(id))));
  const auto slash = id.find('/');
  auto provider = slash == std::string::npos ? std::string{} : id.substr(0, slash);
  auto wanted = provider.empty() ? id : id.substr(slash + 1);
  if (provider.empty() || !router_.provider(provider)) {
    provider = router_.default_provider();
    wanted = id;
  }
  const auto asked = router_.provider(provider);
  if (!c.lease || !asked)
    return refuse_with(no_such_model(id, arrival.models));
  if (!allows_model(arrival.models, provider, wanted, router_.default_provider()))
    return refuse_with(out_of_scope(id));
  auto search = std::make_shared<model_search>();
  search->token = c.lease;
  search->shown = id;
  search->wanted = wanted;
  search->open_call = take(c);
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + models_deadline);
  ask(asked, context, msg::models_request{},
      [search](const rt::answer& got) { search->finish(got); });
}

} // namespace skep::actors
