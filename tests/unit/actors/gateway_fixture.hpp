#pragma once

// tidy: allow size, a gateway, its agent and its clients, for two dozen test files

#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_listener.hpp"
#include "messages/provider.hpp"
#include "runtime/actor/supervisor.hpp"
#include "runtime/cluster/loopback_wire.hpp"
#include "runtime/cluster/solo_cluster.hpp"
#include "tests/support/real_system.hpp"
#include "tests/unit/net/http_test_client.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors::testing {

/// What a scripted agent was asked and did; the counters may be read while it works.
struct agent_script {
  std::atomic<int> calls{0};
  std::atomic<int> cancels{0};
  /// Streams that had to wait for credit at least once.
  std::atomic<int> pauses{0};
  /// Bytes of text sent by "flood".
  std::atomic<std::uint64_t> sent{0};
  /// What a models_request gets: an answer, a failure or nothing.
  enum class models_mode { answer, fail, hold };
  std::atomic<models_mode> on_models{models_mode::answer};
  std::atomic<int> models_calls{0};
  std::vector<msg::model_entry> models;
  /// The last call; read it after its answer has come.
  skep::context context;
  msg::chat_request request;

  /// The script with what the last call wrote: the counter is raised behind it.
  const agent_script& seen() const {
    [[maybe_unused]] const auto served = calls.load();
    return *this;
  }
};

/// An agent whose last message is its order:
/// "say TEXT" answers, streamed by letter when asked to; "fail N" fails with errc N; "cut" breaks
/// off after the first letter; "hold" never answers; "begin" opens a stream and stops after the
/// first letter; "flood N" streams N KiB as credit allows; "crash" throws; "tools" calls a tool;
/// "lump" answers whole, with a tool call, whatever it is asked for.
class scripted_agent : public rt::bounded_actor {
public:
  scripted_agent(caf::actor_config& config, rt::environment& env, const rt::actor_kind& kind,
                 agent_script& script);

protected:
  caf::behavior make_behavior() override;

private:
  struct flood {
    rt::responder out;
    std::uint64_t left = 0;
  };

  void serve(const rt::call& c, const msg::chat_request& r);
  void list(const rt::call& c);
  void say(rt::responder out, const msg::chat_request& r, const std::string& text);
  void begin(rt::responder out, bool then_cut);
  void call_tool(rt::responder out);
  void lump(rt::responder out);
  void pour(std::uint64_t id);

  agent_script& script_;
  std::map<std::uint64_t, flood> floods_;
  std::map<std::uint64_t, rt::responder> held_;
  std::uint64_t last_ = 0;
};

/// A gateway behind real sockets with the agent "helper" and, on wish, the provider "sim".
class open_gateway {
public:
  explicit open_gateway(gateway_config options = {}, bool over_wire = false,
                        admin_config operations = {});
  ~open_gateway();

  std::uint16_t port() const;
  /// Of the listener for operations, where there is one.
  std::uint16_t operations_port() const;
  rt::environment& env() {
    return sys_.env;
  }
  rt::node_status& status() {
    return status_;
  }
  http_listener& listener() {
    return *listener_;
  }
  /// Publishes "agent/NAME" served by a scripted agent.
  void add_agent(const std::string& name, agent_script& script);
  /// Publishes "provider/NAME" served by a scripted agent.
  void add_provider(const std::string& name, agent_script& script);
  /// A kind for actors of the test's own; it outlives them.
  const rt::actor_kind& kind(const std::string& name) {
    return sys_.kind(name);
  }
  /// Publishes an actor of the test's own, spawned in env(); it ends with the gateway.
  void publish(const std::string& name, caf::actor who);
  void kill_gateway();
  /// The value of a series in the Prometheus text, -1 when it is not there.
  double metric(std::string_view series);

  agent_script helper;

private:
  rt::node_status status_;
  test::real_system sys_;
  std::unique_ptr<rt::cluster_port> cluster_;
  caf::actor guard_;
  std::shared_ptr<performance_monitor> monitor_;
  std::unique_ptr<http_listener> listener_;
};

/// One answer as a client sees it.
struct reply {
  int status = 0;
  /// Names in lower case.
  std::map<std::string, std::string> headers;
  std::string body;
  /// The data of each event of a stream.
  std::vector<std::string> events;
  /// The name of each event that has one.
  std::vector<std::string> names;
  /// A stream's chunked encoding came to its end.
  bool whole = false;
};

/// A request as text.
std::string post_chat(std::string_view body, std::string_view more_headers = {});
std::string post_to(std::string_view path, std::string_view body,
                    std::string_view more_headers = {});
std::string get(std::string_view path, std::string_view more_headers = {});
/// A chat body with one user message.
std::string order(std::string_view text, std::string_view more_members = {},
                  std::string_view model = "helper");

/// Sends and reads one answer, streamed or not.
reply ask(net::testing::raw_client& client, const std::string& request);
/// The same on a connection of its own.
reply fetch(const open_gateway& gateway, const std::string& request);
/// The same from the listener for operations.
reply fetch_operations(const open_gateway& gateway, const std::string& request);
/// Reads one answer.
reply read_reply(net::testing::raw_client& client);

} // namespace skep::actors::testing
