// The gateway's answers about models: what agents there are, and what providers say they have.
#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/http_fields.hpp"
#include "actors/gateway/unknown_model.hpp"
#include "apis/anthropic/model_json.hpp"
#include "apis/openai/chat_json.hpp"
#include "messages/provider.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace skep::actors {

namespace {

constexpr duration models_deadline = 5s;

/// Agents are models of ours that were not created at any time.
msg::model_entry entry_of_agent(std::string name) {
  return {std::move(name), 0, "skep"};
}

/// How the client wants models shown.
struct model_wish {
  bool anthropic = false;
  /// Of Anthropic's API; OpenAI's has no pages.
  model_page page;

  /// Anthropic's clients say their version with each request.
  static model_wish of(const net::http_request& request) {
    model_wish wish;
    wish.anthropic = !request.header("anthropic-version").empty();
    const auto limit = query_value(request.query, "limit");
    std::size_t count = 0;
    std::from_chars(limit.data(), limit.data() + limit.size(), count);
    if (count > 0)
      wish.page.limit = std::min(count, wish.page.limit);
    wish.page.after_id = query_value(request.query, "after_id");
    wish.page.before_id = query_value(request.query, "before_id");
    return wish;
  }
  std::string write(const msg::model_entry& model) const {
    return anthropic ? write_anthropic_model(model) : write_model(model);
  }
  std::string write(const std::vector<msg::model_entry>& models) const {
    if (anthropic)
      return write_anthropic_models(models, page);
    std::string list = R"({"object":"list","data":[)";
    for (const auto& each : models)
      list.append(list.back() == '[' ? "" : ",").append(write_model(each));
    return list + "]}";
  }
};

/// Gathers what several providers say and answers when the last one has. Lives in the handlers of
/// the gateway's requests.
struct model_list {
  // A gateway that ends fails the call through it.
  rt::responder open_call;
  rt::lease_ptr token;
  model_wish wish;
  std::vector<msg::model_entry> agents;
  // By provider, not in the order of their answers: the list is the same each time.
  std::vector<std::vector<msg::model_entry>> models;
  std::size_t waiting = 0;

  void finish() {
    auto all = std::move(agents);
    for (const auto& provider : models)
      all.insert(all.end(), provider.begin(), provider.end());
    token->reply(http_answer{stable_response(200, wish.write(all))});
  }
};

/// Looks for one model among a provider's; the same life as a model_list.
struct model_search {
  rt::responder open_call;
  rt::lease_ptr token;
  model_wish wish;
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
      token->reply(http_answer{stable_response(200, wish.write(found))});
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
  list->wish = model_wish::of(*arrival.request);
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
  const auto wish = model_wish::of(*arrival.request);
  const auto refuse_with = [&](failure why) {
    arrival.client->blame("model");
    refuse(c, std::move(why));
  };
  if (router_.has_agent(id) && !allows_agent(arrival.models, id))
    return refuse_with(out_of_scope(id));
  if (router_.has_agent(id))
    return answer(c, stable_response(200, wish.write(entry_of_agent(id))));
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
  search->wish = wish;
  search->shown = id;
  search->wanted = wanted;
  search->open_call = take(c);
  auto context = c.context;
  context.deadline = std::min(context.deadline, now() + models_deadline);
  ask(asked, context, msg::models_request{},
      [search](const rt::answer& got) { search->finish(got); });
}

} // namespace skep::actors
