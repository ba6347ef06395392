#pragma once

#include "actors/redis/redis_entry.hpp"
#include "messages/core.hpp"
#include "runtime/actor/bounded_actor.hpp"
#include "runtime/io/redis_types.hpp"
#include "runtime/telemetry/registry.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

/// `[redis]`, for the actor.
struct redis_level_config {
  /// For people: where the server is, without credentials.
  std::string server;
  std::string prefix = "skep";
  /// A lookup or a put takes no longer, whatever its caller's deadline.
  std::chrono::milliseconds timeout{50};
  /// One clear, however many keys the server has.
  std::chrono::milliseconds clear_timeout{30'000};
  /// For answers that name none.
  std::chrono::milliseconds ttl{3'600'000};
  /// Larger values are neither stored nor believed.
  std::size_t value_max = std::size_t{1} << 20;
  /// Clears at work; further ones are refused.
  std::uint32_t clears_max = 16;
  /// Tests have their own.
  std::function<wall_clock::time_point()> wall_now = [] { return wall_clock::now(); };
};

/// To the actor: how a job's commands ended. In-process control: at most as many are under way as
/// the client has commands in flight.
struct redis_event {
  std::uint64_t job = 0;
  expected<std::vector<io::redis_reply>> result;
};

/// "cache/redis": the second level of the response cache, in a Redis that all nodes (and several
/// clusters) share and that outlives them. Spawned by its supervisor behind a guard with a breaker,
/// so that a Redis that is down costs no lookup its time. Serves cache_get_request (lease fields
/// are ignored: a plain hit or errc::cache_miss), cache_put_request and cache_clear_request
/// (messages/cache.hpp); the last walks over the server's keys and ends by the call's deadline.
/// What Redis holds is taken for bytes from outside: what cannot be read is a miss, and counted.
class redis_level : public rt::bounded_actor {
public:
  redis_level(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
              redis_level_config rules, std::shared_ptr<io::redis_commands> redis);

protected:
  caf::behavior make_behavior() override;

private:
  /// What a job is for; also the label of the metrics.
  enum class purpose : std::uint8_t { get, put, clear };
  static constexpr std::size_t purposes = 3;

  struct meters {
    explicit meters(telemetry::registry& metrics);

    std::array<telemetry::counter*, purposes> commands{};
    std::array<telemetry::counter*, purposes> failed{};
    telemetry::counter& hits;
    telemetry::counter& misses;
    telemetry::counter& malformed;
    telemetry::counter& stored;
    telemetry::counter& too_large;
    telemetry::counter& cleared;
    telemetry::histogram& latency;
  };
  struct job {
    purpose what = purpose::get;
    rt::responder out; // Of a put that nobody waits for, empty.
    time_point began{};
    // Of a get.
    std::uint32_t age_max_s = 0;
    // Of a clear.
    std::string pattern;
    time_point until{};
    bool unlinking = false; // The commands under way begin with the removal of a page's keys.
    bool last_page = false;
  };
  using id = std::uint64_t;

  void get(const rt::call& c, const msg::cache_get_request& request);
  void put(const rt::call& c, const msg::cache_put_request& request);
  void clear(const rt::call& c, const msg::cache_clear_request& request);
  duration time_for(const rt::call& c, duration longest) const;
  void start(job made, std::vector<io::redis_args> batch, duration timeout);
  void send(id which, std::vector<io::redis_args> batch, duration timeout);

  void ended(const redis_event& event);
  void failed(id which, const failure& why);
  void got(id which, const std::vector<io::redis_reply>& replies);
  void page_came(id which, const std::vector<io::redis_reply>& replies);
  void turn_page(id which, const std::string& cursor, const std::vector<io::redis_reply>& keys);
  void finish(id which);

  const redis_level_config rules_;
  const redis_keys keys_;
  const store::value_codec codec_; // Without a dictionary: other clusters may not have it.
  const std::shared_ptr<io::redis_commands> redis_;
  meters meters_;
  std::unordered_map<id, job> jobs_;
  std::uint32_t clears_ = 0;
  id last_id_ = 0;
};

} // namespace skep::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(skep::actors::redis_event)
