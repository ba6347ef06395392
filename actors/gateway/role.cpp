#include "actors/gateway/role.hpp"

#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "actors/gateway/observer.hpp"
#include "runtime/base/log.hpp"
#include "runtime/net/http_server.hpp"

#include <atomic>
#include <charconv>

namespace skep::actors {

namespace {

using config::option;
using std::chrono::milliseconds;

/// What the HTTP threads and the gateways share; outlives the server.
struct door {
  door(rt::environment& e, std::shared_ptr<const gateway_config> o)
    : env(e), options(std::move(o)), observer(std::make_shared<gateway_observer>(e.metrics())) {}

  void arrive(net::http_request&& request, std::shared_ptr<net::http_exchange> exchange);
  duration timeout_of(const net::http_request& request) const;
  void export_stats();

  rt::environment& env;
  const std::shared_ptr<const gateway_config> options;
  const std::shared_ptr<gateway_observer> observer;
  std::vector<caf::actor> gateways; // By HTTP thread.
  std::atomic<std::uint64_t> last_mid{0};
  std::unique_ptr<net::http_server> server;
  std::vector<telemetry::registration> exported;
};

duration door::timeout_of(const net::http_request& request) const {
  const auto header = request.header("x-request-timeout-ms");
  std::int64_t asked = 0;
  std::from_chars(header.data(), header.data() + header.size(), asked);
  const milliseconds wanted{asked};
  return asked > 0 && wanted < options->request_timeout ? wanted : options->request_timeout;
}

/// On the connection's thread: makes the session, which answers whatever happens to the call.
void door::arrive(net::http_request&& request, std::shared_ptr<net::http_exchange> exchange) {
  observer->active.inc();
  const auto client = session::make(
    env, std::move(exchange),
    [observer = observer](const request_summary& done) { (*observer)(done); }, request.method,
    request.path);
  if (static_cast<std::uint64_t>(observer->active.value()) > options->requests_max) {
    client.self->fail(failure{errc::overloaded, "requests_max requests are at work"});
    return;
  }
  skep::context context;
  context.id = client.self->id();
  context.deadline = env.now() + timeout_of(request);
  const auto mid = caf::make_message_id(++last_mid);
  auto token = caf::make_counted<rt::lease>(client.handle, mid, options->stream_window);
  client.self->attach(token, context.deadline);
  const auto& to = gateways[static_cast<std::size_t>(request.thread_index)];
  const auto bytes = request.body.size();
  http_arrival arrival{std::make_shared<net::http_request>(std::move(request)), client.handle,
                       client.self};
  to->enqueue(caf::make_mailbox_element(client.handle, mid, {},
                                        rt::call{std::move(context), std::move(token), bytes},
                                        std::move(arrival)),
              nullptr);
}

void door::export_stats() {
  const auto add = [this](const char* name, const char* help, bool grows, auto read) {
    const auto value = [this, read] { return static_cast<double>(read(server->stats())); };
    auto& metrics = env.metrics();
    exported.push_back(grows ? metrics.counter_callback(name, help, {}, value)
                             : metrics.gauge_callback(name, help, {}, value));
  };
  using stats = net::http_server_stats;
  add("skep_http_connections", "Open connections.", false,
      [](const stats& s) { return s.connections; });
  add("skep_http_accepted_total", "Connections accepted.", true,
      [](const stats& s) { return s.accepted; });
  add("skep_http_refused_total", "Connections over connections_max.", true,
      [](const stats& s) { return s.refused; });
  add("skep_http_malformed_total", "Requests refused before they were read whole.", true,
      [](const stats& s) { return s.malformed; });
  add("skep_http_timeouts_total", "Connections cut for being too slow.", true,
      [](const stats& s) { return s.timeouts; });
  add("skep_http_lost_total", "Requests whose client went away.", true,
      [](const stats& s) { return s.lost; });
  add("skep_http_received_bytes_total", "Bytes from clients.", true,
      [](const stats& s) { return s.bytes_in; });
  add("skep_http_sent_bytes_total", "Bytes to clients.", true,
      [](const stats& s) { return s.bytes_out; });
}

net::http_server_config server_config(const gateway_config& from) {
  net::http_server_config config;
  const auto listen = split_listen(from.listen);
  config.address = listen->first;
  config.port = listen->second;
  config.threads = static_cast<int>(from.threads);
  config.connections_max = from.connections_max;
  config.body_max_bytes = from.body_max;
  config.header_max_bytes = from.header_max;
  config.header_timeout = from.header_timeout;
  config.body_timeout = from.body_timeout;
  config.keepalive_timeout = from.keepalive_timeout;
  config.write_timeout = from.write_timeout;
  // A frame is at most a few times what its chunk costs in credit, so the window is the tighter
  // bound.
  config.send_buffer_max_bytes = static_cast<std::size_t>(from.stream_window) * 8;
  config.error_reply = refused_response;
  return config;
}

expected<void> build(rt::role_context& node) {
  auto options
    = std::make_shared<const gateway_config>(node.config().get<gateway_config>("gateway"));
  auto shared = std::make_shared<door>(node.env(), options);
  rt::mailbox_bounds bounds;
  bounds.messages_max = static_cast<std::uint32_t>(options->requests_max);
  bounds.bytes_max = std::size_t{512} << 20;
  const auto& kind = node.kind("gateway", bounds);
  auto& env = node.env();
  auto& status = node.status();
  for (std::uint32_t n = 0; n < options->threads; ++n) {
    rt::child_spec spec;
    spec.name = "gateway/" + std::to_string(n);
    // It judges nobody: what fails behind it has breakers of its own.
    spec.guard.use_breaker = false;
    spec.guard.in_flight_max = 4'000'000;
    spec.start
      = [&env, &kind, options, &status] { return env.spawn<gateway>(kind, options, status); };
    shared->gateways.push_back(node.supervise(std::move(spec)));
  }
  auto server = net::http_server::start(
    server_config(*options), [raw = shared.get()](net::http_request&& request,
                                                  std::shared_ptr<net::http_exchange> exchange) {
      raw->arrive(std::move(request), std::move(exchange));
    });
  if (!server)
    return fail(server.error());
  shared->server = std::move(*server);
  shared->export_stats();
  status.endpoint = shared->server->local_endpoint();
  node.on_drain([shared] { shared->server->stop_accepting(); });
  node.drained_when([shared] { return shared->server->active() == 0; });
  node.on_stop([shared] {
    shared->exported.clear();
    shared->server->stop();
    shared->gateways.clear();
  });
  return {};
}

const config::table<gateway_key>& key_table() {
  static const config::table<gateway_key> rows{
    option{"key", &gateway_key::key, "env.NAME of the variable that holds the key."}.required(),
    option{"tenant", &gateway_key::tenant,
           "Whose requests these are; tenants share no cached answer."},
  };
  return rows;
}

} // namespace

std::optional<std::pair<std::string, std::uint16_t>> split_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return std::nullopt;
  auto address = listen.substr(0, colon);
  if (address.front() == '[' && address.back() == ']')
    address = address.substr(1, address.size() - 2);
  else if (address.find(':') != std::string::npos)
    return std::nullopt;
  std::uint16_t port = 0;
  const auto* end = listen.data() + listen.size();
  const auto read = std::from_chars(listen.data() + colon + 1, end, port);
  if (read.ec != std::errc{} || read.ptr != end || address.empty())
    return std::nullopt;
  return std::pair{address, port};
}

const config::table<gateway_config>& gateway_table() {
  constexpr milliseconds day{86'400'000};
  constexpr milliseconds one{1};
  static const config::table<gateway_config> rows
    = config::table<gateway_config>{
        option{"listen", &gateway_config::listen, "ADDRESS:PORT; port 0 lets the system choose."},
        option{"threads", &gateway_config::threads, 1u, 64u, "Threads for client connections."},
        option{"connections_max", &gateway_config::connections_max, std::uint64_t{1},
               std::uint64_t{1'000'000}, "Open connections; one more gets 503."},
        option{"requests_max", &gateway_config::requests_max, std::uint64_t{1},
               std::uint64_t{1'000'000}, "Requests at work; one more gets 503 with a retry-after."},
        option{"body_bytes", &gateway_config::body_max, std::uint64_t{1024}, std::uint64_t{1} << 30,
               "The largest request body (413)."},
        option{"header_bytes", &gateway_config::header_max, std::uint64_t{1024},
               std::uint64_t{1} << 20, "The largest request head (431)."},
        option{"header_timeout_ms", &gateway_config::header_timeout, one, day,
               "From a request's first byte to the end of its head (408)."},
        option{"body_timeout_ms", &gateway_config::body_timeout, one, day,
               "From the end of the head to the end of the body (408)."},
        option{"keepalive_timeout_ms", &gateway_config::keepalive_timeout, one, day,
               "How long a connection may wait for its next request."},
        option{"write_timeout_ms", &gateway_config::write_timeout, one, day,
               "For a client that takes nothing of what waits for it."},
        option{"request_timeout_ms", &gateway_config::request_timeout, one, day,
               "From a request's arrival to the end of its answer (504); x-request-timeout-ms may "
               "ask for less."},
        option{"stream_window_bytes", &gateway_config::stream_window, std::uint64_t{1024},
               std::uint64_t{64} << 20,
               "What a stream may have on the way to a client before its producer pauses."},
        option{"default_provider", &gateway_config::default_provider,
               "Model names nobody else has go to this provider as they are."},
        option{"key", &gateway_config::keys, key_table(),
               "Keys clients must come with; none: no key is asked for."},
      }
        .check([](const gateway_config& c) -> std::optional<config::violation> {
          if (split_listen(c.listen))
            return std::nullopt;
          return config::violation{"listen", "must read ADDRESS:PORT, for example 127.0.0.1:8080"};
        });
  return rows;
}

rt::role gateway_role() {
  rt::role made;
  made.name = "gateway";
  made.declare = [](config::schema& accepted) {
    accepted.section("gateway", config::cardinality::one, gateway_table(),
                     "The door for HTTP clients.");
  };
  made.build = build;
  return made;
}

} // namespace skep::actors
