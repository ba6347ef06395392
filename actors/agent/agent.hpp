#pragma once

#include "actors/agent/answer.hpp"
#include "actors/agent/definition.hpp"
#include "runtime/actor/bounded_actor.hpp"

#include <memory>
#include <optional>
#include <unordered_map>

namespace skep::actors {

/// One instance of an agent: gives a conversation its instructions and parameters, asks the cache,
/// then the providers of its routes in turn, and hands the answer on, streamed or whole. Spawned by
/// its pool, serves one call at a time there, keeps nothing of a call once it has ended. Serves
/// chat_request, answered as messages/chat.hpp says.
class agent : public rt::bounded_actor {
public:
  agent(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
        agent_definition_ptr definition);

protected:
  caf::behavior make_behavior() override;

private:
  struct job {
    rt::responder out;
    skep::context context;
    msg::chat_request request;
    msg::cache_key key;
    bool store = false;
    msg::answer_origin origin;
    std::size_t route = 0;
    rt::request_key pending = 0;
    bool opened = false;
    std::optional<answer_builder> built;
    std::unique_ptr<answer_player> player;
  };
  using job_id = std::uint64_t;

  void begin(const rt::call& c, const msg::chat_request& request);
  void look_up(job_id id);
  void cache_answered(job_id id, const rt::answer& got);
  void ask_provider(job_id id);
  void remember(job_id id, rt::request_key pending);
  void provider_answered(job_id id, const rt::answer& got);
  void provider_failed(job_id id, const failure& why);
  void stream_began(job& j, const msg::chat_open& begin);
  void stream_ended(job_id id, const msg::chat_end& end);
  void whole_answer(job_id id, msg::chat_reply reply);
  void play(job_id id);
  void credit_came(job_id id, std::uint64_t bytes);
  void store(const job& j, const msg::chat_reply& reply);

  const agent_definition_ptr definition_;
  std::unordered_map<job_id, job> jobs_;
  job_id last_job_ = 0;
};

} // namespace skep::actors
