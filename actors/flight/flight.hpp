#pragma once

// tidy: allow size, one actor with its two tables

#include "actors/flight/answer_log.hpp"
#include "messages/flight.hpp"
#include "messages/semantic.hpp"
#include "runtime/actor/bounded_actor.hpp"

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace skep::actors {

class call_places;

/// `[flight]`, for one actor, and what it is told of its node.
struct flight_config {
  /// This node's name, for leases.
  std::string node = "local";
  /// What is kept of one answer for those who follow it; one who is further behind is cut.
  std::size_t buffer_max = std::size_t{1} << 20;
  /// What is kept of all answers together; beyond it each keeps a window only.
  std::size_t buffers_max = std::size_t{64} << 20;
  std::size_t flights_max = 20'000;
  std::size_t followers_max = 100'000;
  /// A cache that does not answer by then is passed over.
  duration cache_deadline = 250ms;
  duration semantic_deadline = 250ms;
  /// How long a refusal that would come again is kept; zero: not at all.
  std::chrono::milliseconds negative_ttl{10'000};
  /// How long a finished answer is kept for waiters that are still on their way from other nodes.
  duration linger{};
  /// Read ahead of callers who take an answer as a whole.
  std::uint64_t window = 64 * 1024;
};

/// Whom a flight asks.
struct flight_peers {
  /// The response cache; null: there is none.
  caf::actor cache;
  /// The semantic cache; null: there is none.
  caf::actor semantic;
  /// A provider by its name in the configuration; null when nobody has it.
  std::function<caf::actor(const std::string&)> provider;
  /// The pool of an agent, which has call_places; null, or no function: nobody counts the agent's
  /// calls.
  std::function<caf::actor(const std::string&)> pool;
  /// Another node's flights; null when it is not there.
  std::function<caf::actor(const std::string&)> flights_of;
};

/// Gets answers, each once: from the response cache, from a call for the same that is in flight
/// (here or, by the lease the cache gave, on another node), from the semantic cache, or from the
/// routes of the request in turn. Whoever asks for the same meanwhile follows: what came already is
/// replayed, then it goes on at each waiter's own credit, while the fastest sets the pace. The
/// call goes on as long as anybody follows it, whoever began it, and has the deadline of those who
/// follow: when that of the first ones passes, it is made again for those who wait longer. Serves
/// flight_request and flight_join_request (messages/flight.hpp); the same key always at the same
/// actor of a node.
class flight : public rt::bounded_actor {
public:
  flight(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
         std::string number, flight_config rules, flight_peers peers);

protected:
  caf::behavior make_behavior() override;

private:
  using id = std::uint64_t;

  enum class stage : std::uint8_t { cache, semantic, similar, routes, joined, done };

  struct shared_call {
    explicit shared_call(std::size_t buffer_max) : log(buffer_max) {}

    msg::flight_request request;
    skep::context context;
    stage at = stage::cache;
    rt::request_key pending = 0;
    // What its answer is, for those it began with; later ones are told it was shared.
    msg::cache_status status = msg::cache_status::none;
    msg::answer_origin origin;
    std::size_t route = 0;
    std::uint64_t lease = 0;  // Ours, while leading; whom we follow, while joined.
    std::uint32_t losses = 0; // Leaders found gone.
    failure last_failure;     // Of a route that was asked.
    bool led = false;         // A provider was asked.
    bool store = false;
    bool background = false; // Goes on without waiters.
    bool lingers = false;
    answer_log log;
    std::size_t counted = 0; // Of the log's bytes, in the sum of all.
    std::uint64_t received = 0;
    std::uint64_t granted = 0;
    std::vector<id> waiters;
    msg::semantic_find_reply similar;
  };
  struct waiter {
    id shared = 0;
    rt::responder out;
    time_point deadline{};
    rt::lease_ptr call; // Where its agent knows it by.
    bool stream = false;
    bool late = false;  // Came when somebody had asked already.
    bool relay = false; // Another node's flight, which marks what it serves itself.
    bool opened = false;
    std::uint64_t next = 0;   // Piece to send.
    std::uint64_t credit = 0; // All that was ever granted.
  };
  struct meters {
    meters(telemetry::registry& metrics, const std::string& number);

    telemetry::counter& led;
    telemetry::counter& shared;
    telemetry::counter& joined;
    telemetry::counter& lost;
    telemetry::counter& refreshed;
    telemetry::counter& cut;
    telemetry::counter& refused;
    telemetry::counter& negative;
    telemetry::counter& upstream;
    telemetry::gauge& flights;
    telemetry::gauge& waiters;
    telemetry::gauge& bytes;
  };

  // Callers (waiters.cpp).
  void begin(const rt::call& c, const msg::flight_request& request);
  void join(const rt::call& c, const msg::flight_join_request& request);
  bool joinable(const msg::flight_request& request, const std::string& tenant) const;
  void drop_relays(shared_call& t);
  call_places* places_of(const std::string& agent, caf::actor& pool) const;
  void leave_place(const std::string& agent, const waiter& f);
  void leave_places(const shared_call& t);
  std::optional<failure> claim_places(const shared_call& t);
  bool room(const rt::call& c, std::size_t more_flights);
  waiter* follow(id which, const rt::call& c, bool stream);
  void credit_came(id who, std::uint64_t bytes);
  void left(id who);
  void serve(id which);
  bool serve_one(shared_call& t, waiter& f);
  bool play(shared_call& t, waiter& f);
  void cut(waiter& f, const char* why);
  void move_followers(id from, id to);
  void fail_all(id which, const failure& why);
  void pace(shared_call& t);
  std::uint64_t credit_of(const shared_call& t) const;
  msg::answer_origin origin_for(const shared_call& t, const waiter& f) const;

  // Getting the answer (flight.cpp); what becomes of it (completion.cpp).
  id start(msg::flight_request request, skep::context context);
  void look_up(id which, std::uint64_t lost);
  void cache_answered(id which, const rt::answer& got);
  void hit(id which, const msg::cache_get_reply& found);
  void refresh(const shared_call& t, std::uint64_t lease);
  void lead(id which);
  void look_for_similar(id which);
  void similar_found(id which, const msg::semantic_find_reply& found);
  void join_leader(id which, const std::string& leader, std::uint64_t lease);
  void ask_route(id which);
  void remember(id which, rt::request_key pending);
  void source_answered(id which, const rt::answer& got);
  void source_failed(id which, failure why);
  bool outlives(shared_call& t, const failure& why);
  static void came_from(shared_call& t, const msg::answer_origin& source);
  void complete(id which);
  void store(shared_call& t);
  void store_refusal(shared_call& t, const failure& why);
  void learn(shared_call& t, const msg::chat_reply& reply);
  void release(shared_call& t);
  void shut(id which);
  void close(id which);
  void forget(id which);
  void count_bytes(shared_call& t);
  void show();
  caf::actor provider(const std::string& name);

  const flight_config rules_;
  const flight_peers peers_;
  meters meters_;
  std::unordered_map<id, shared_call> calls_;
  std::unordered_map<id, waiter> waiters_;
  /// Those that others may still join, by a hash of their key.
  std::unordered_map<std::uint64_t, id> open_;
  /// Those this node leads, by lease.
  std::unordered_map<std::uint64_t, id> led_;
  std::unordered_map<std::string, caf::actor> providers_;
  id last_id_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace skep::actors
