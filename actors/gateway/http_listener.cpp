#include "actors/gateway/http_listener.hpp"

#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"
#include "runtime/json/check.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace skep::actors {

namespace {

using std::chrono::milliseconds;

// A frame is about twice what its chunk costs in credit, and the window bounds that; four times as
// much again leaves room for text that JSON has to escape. The rest is for the frames of the end.
constexpr std::size_t frame_bytes_per_credit = 8;
constexpr std::size_t end_frames_bytes = 64 * 1024;

// The way to the client and back, as a share of its time-out and at most.
constexpr double client_margin = 0.1;
constexpr double client_margin_max_ms = 1'000;
// What operates a node says so in a few bytes.
constexpr std::uint64_t operation_body_max = 64 * 1024;

} // namespace

http_listener::http_listener(const house& around, std::shared_ptr<const gateway_config> options,
                             const admin_config& operations, std::vector<caf::actor> gateways,
                             std::shared_ptr<performance_monitor> monitor)
  : env_(around.env), options_(std::move(options)),
    observer_(std::make_shared<gateway_observer>(env_.metrics(), options_->model_labels_max)),
    observe_([observer = observer_, monitor = std::move(monitor),
              &env = env_](const request_summary& done) {
      (*observer)(done);
      monitor->ended(done, env.now());
    }),
    probes_(around.env, around.status, around.cluster), gateways_(std::move(gateways)) {
  using serves = admission::serves;
  const bool apart = !operations.listen.empty();
  clients_ = std::make_unique<server_socket>(server_socket{
    admission{*options_, apart ? serves::clients : serves::all, options_->listen, around.endpoints},
    client_config(), nullptr});
  if (apart)
    operations_ = std::make_unique<server_socket>(
      server_socket{admission{*options_, serves::operations, operations.listen, around.endpoints},
                    operations_config(operations), nullptr});
  for (std::size_t n = 0; n < denied_.size(); ++n)
    denied_[n] = &env_.metrics().counter(
      "skep_gateway_denied_total", "Requests turned away by their head, by what was wrong with it.",
      {{"reason", std::string{word_of(static_cast<denial_reason>(n))}}});
}

http_listener::~http_listener() {
  close();
}

expected<void> http_listener::open() {
  if (auto done = open(*clients_); !done)
    return done;
  if (operations_)
    if (auto done = open(*operations_); !done)
      return done;
  export_stats();
  return {};
}

expected<void> http_listener::open(server_socket& at) {
  at.config.check_head
    = [this, &at](const net::http_request& head) { return check_head(at, head); };
  at.config.body_max_of
    = [this, &at](const net::http_request& head) { return body_max_of(at, head); };
  at.config.error_reply
    = [&at](int status, std::string_view message, const net::refused_request& asked) {
        auto response = refused_response(status, message, asked.path);
        at.rules.origins().allow_reading(asked.origin, response.headers);
        return response;
      };
  auto server
    = net::http_server::start(at.config, [this, &at](net::http_request&& request,
                                                     std::shared_ptr<net::http_exchange> exchange) {
        arrive(at, std::move(request), std::move(exchange));
      });
  if (!server)
    return fail(server.error());
  at.server = std::move(*server);
  return {};
}

void http_listener::drain() {
  if (clients_->server)
    clients_->server->stop_accepting();
}

bool http_listener::drained() const {
  return !clients_->server || clients_->server->drained();
}

void http_listener::close() {
  exported_.clear();
  for (const auto* each : {&clients_, &operations_})
    if (*each && (*each)->server)
      (*each)->server->stop();
  gateways_.clear();
}

std::string http_listener::endpoint() const {
  return clients_->server ? clients_->server->local_endpoint() : std::string{};
}

std::string http_listener::operations_endpoint() const {
  return operations_ && operations_->server ? operations_->server->local_endpoint() : std::string{};
}

// -- heads ----------------------------------------------------------------------------------------

std::optional<net::http_response> http_listener::check_head(const server_socket& at,
                                                            const net::http_request& head) {
  auto path = normal_path(head.path);
  const auto& origins = at.rules.origins();
  const auto& asked = at.rules.endpoint_at(path);
  const auto denied = at.rules.judge(head, path);
  if (!denied && !origin_policy::is_preflight(head))
    return std::nullopt;
  auto id = to_string(make_request_id());
  const bool anthropic = is_anthropic(path, head.header("anthropic-version"));
  auto response = denied ? denied_response(*denied, anthropic, id)
                         : origin_policy::preflight(head, asked.methods);
  origins.allow_reading(head.header("origin"), response.headers);
  if (denied)
    denied_[static_cast<std::size_t>(denied->reason)]->inc();
  settled_by_head(head, asked, std::move(path), std::move(id), response.status,
                  denied ? denied->why : errc::none);
  return response;
}

/// No session ever sees it, so the log and the metrics are told here.
void http_listener::settled_by_head(const net::http_request& head, const served_endpoint& asked,
                                    std::string path, std::string request_id, int status,
                                    errc why) {
  observer_->active.inc(); // observe_ counts it down.
  request_summary summary;
  summary.is(asked);
  summary.method = head.method;
  summary.path = std::move(path);
  summary.request_id = std::move(request_id);
  summary.status = status;
  summary.error = why;
  observe_(summary);
}

std::size_t http_listener::body_max_of(const server_socket& at,
                                       const net::http_request& head) const {
  const bool small = at.rules.endpoint_at(normal_path(head.path)).is_operational();
  return small ? std::min(operation_body_max, options_->body_max) : options_->body_max;
}

// -- requests -------------------------------------------------------------------------------------

/// The least of ours, what x-request-timeout-ms asks for, and the time-out the official clients
/// tell. At that one they give up by themselves, so they are answered a little before.
duration http_listener::timeout_of(const net::http_request& request) const {
  const auto number_in = [&](const char* name) {
    const auto header = request.header(name);
    double asked = 0;
    std::from_chars(header.data(), header.data() + header.size(), asked);
    return asked > 0 ? asked : std::numeric_limits<double>::infinity();
  };
  // The first is what those for Node.js send, the second those for Python.
  const auto clients_own
    = 1e3 * std::min(number_in("x-stainless-timeout"), number_in("x-stainless-read-timeout"));
  const auto ms
    = std::min(clients_own - std::min(client_margin * clients_own, client_margin_max_ms),
               number_in("x-request-timeout-ms"));
  const auto ours = static_cast<double>(options_->request_timeout.count());
  return ms < ours ? milliseconds{static_cast<std::int64_t>(std::ceil(ms))}
                   : options_->request_timeout;
}

void http_listener::arrive(const server_socket& at, net::http_request&& request,
                           std::shared_ptr<net::http_exchange> exchange) {
  observer_->active.inc();
  request.path = normal_path(request.path);
  const auto& asked = at.rules.endpoint_at(request.path);
  auto who = at.rules.caller_of(request);
  net::http_headers headers;
  at.rules.origins().allow_reading(request.header("origin"), headers);
  const auto client = session::make(
    env_, {std::move(exchange), observe_, request.method, request.path, asked, std::move(headers),
           is_anthropic(request.path, request.header("anthropic-version"))});
  if (is_probe(asked.what))
    return client.self->answer(probes_.answer(asked.what, who.admin));
  const auto at_work = static_cast<std::uint64_t>(observer_->active.value());
  if (at_work > options_->requests_max && !asked.is_operational()) {
    observer_->refused.inc();
    client.self->fail(failure{errc::overloaded, "requests_max requests are at work"});
    return;
  }
  hand_over(client, std::move(request), asked, std::move(who));
}

void http_listener::hand_over(const session::made& client, net::http_request&& request,
                              const served_endpoint& asked, caller who) {
  skep::context context;
  context.id = client.self->id();
  context.tenant = std::move(who.tenant);
  context.deadline = env_.now() + timeout_of(request);
  const auto mid = caf::make_message_id(++last_mid_);
  auto token = caf::make_counted<rt::lease>(client.handle, mid, options_->stream_window);
  client.self->attach(token, context.deadline, options_->stream_idle_timeout);
  const auto& gateway = gateways_[static_cast<std::size_t>(request.thread_index)];
  const auto bytes = request.body.size() + request.headers.block().size();
  const auto shared = std::make_shared<net::http_request>(std::move(request));
  const auto send = [&](const caf::actor& to, auto message) {
    to->enqueue(caf::make_mailbox_element(client.handle, mid, {},
                                          rt::call{std::move(context), std::move(token), bytes},
                                          std::move(message)),
                nullptr);
  };
  if (asked.served_by)
    send(asked.served_by, rt::http_call{shared});
  else
    send(gateway,
         http_arrival{shared, client.handle, client.self, asked.what, std::move(who.models)});
}

// -- the servers ----------------------------------------------------------------------------------

net::http_server_config http_listener::client_config() const {
  net::http_server_config config;
  const auto listen = split_listen(options_->listen);
  config.address = listen->first; // The options' check has read it before.
  config.port = listen->second;
  config.threads = static_cast<int>(options_->threads);
  config.connections_max = options_->connections_max;
  config.connections_per_address_max = options_->connections_per_address_max;
  if (config.connections_per_address_max == 0)
    config.connections_per_address_max = std::max<std::size_t>(1, config.connections_max / 2);
  config.body_max_bytes = options_->body_max;
  config.bodies_max_bytes = options_->bodies_max;
  config.answers_max_bytes = options_->answers_max;
  config.header_max_bytes = options_->header_max;
  config.header_timeout = options_->header_timeout;
  config.body_timeout = options_->body_timeout;
  config.body_rate_min_bytes = options_->body_rate_min;
  config.keepalive_timeout = options_->keepalive_timeout;
  config.write_timeout = options_->write_timeout;
  config.write_rate_min_bytes = options_->write_rate_min;
  config.linger_timeout = options_->linger_timeout;
  config.send_buffer_max_bytes
    = static_cast<std::size_t>(options_->stream_window) * frame_bytes_per_credit + end_frames_bytes;
  config.compression.enabled = options_->compression;
  config.compression.min_bytes = options_->compression_min;
  config.compression.max_bytes = options_->compression_max;
  config.compression.level = static_cast<int>(options_->compression_level);
  return config;
}

/// One thread does: its requests are few, and go to the first gateway.
net::http_server_config http_listener::operations_config(const admin_config& operations) const {
  auto config = client_config();
  const auto listen = split_listen(operations.listen);
  config.address = listen->first;
  config.port = listen->second;
  config.threads = 1;
  config.connections_max = operations.connections_max;
  config.connections_per_address_max = operations.connections_max;
  config.bodies_max_bytes = operation_body_max * operations.connections_max;
  return config;
}

void http_listener::export_stats() {
  using stats = net::http_server_stats;
  auto& metrics = env_.metrics();
  const auto reader = [this](auto field) -> std::function<double()> {
    return [this, field] {
      auto all = static_cast<double>(clients_->server->stats().*field);
      if (operations_)
        all += static_cast<double>(operations_->server->stats().*field);
      return all;
    };
  };
  const auto gauge = [&](const char* name, const char* help, auto field) {
    exported_.push_back(metrics.gauge_callback(name, help, {}, reader(field)));
  };
  const auto counter = [&](const char* name, const char* help, auto field) {
    exported_.push_back(metrics.counter_callback(name, help, {}, reader(field)));
  };
  gauge("skep_http_connections", "Open connections.", &stats::connections);
  gauge("skep_http_address_connections", "Open connections of the address that has the most.",
        &stats::address_connections);
  gauge("skep_http_bodies_bytes", "Bytes of bodies being received.", &stats::bodies_bytes);
  gauge("skep_http_answers_bytes", "Bytes of answers that wait for clients to read them.",
        &stats::answers_bytes);
  counter("skep_http_accepted_total", "Connections accepted.", &stats::accepted);
  counter("skep_http_accept_failures_total", "Connections accept() failed on.",
          &stats::accept_failures);
  counter("skep_http_connections_refused_total", "Connections over connections_max.",
          &stats::refused);
  counter("skep_http_address_refused_total", "Connections over connections_per_address_max.",
          &stats::address_refused);
  counter("skep_http_idle_closed_total", "Idle connections closed to make room for new ones.",
          &stats::idle_closed);
  counter("skep_http_malformed_total", "Requests refused before they were read whole.",
          &stats::malformed);
  counter("skep_http_heads_refused_total",
          "Requests settled by their head alone: refusals and preflights.", &stats::heads_refused);
  counter("skep_http_bodies_refused_total", "Request bodies over bodies_bytes.",
          &stats::bodies_refused);
  counter("skep_http_answers_refused_total", "Answers and frames answers_bytes had no room for.",
          &stats::answers_refused);
  counter("skep_http_timeouts_total", "Connections cut for being too slow.", &stats::timeouts);
  counter("skep_http_lost_total", "Requests whose client went away.", &stats::lost);
  counter("skep_http_frames_refused_total", "Frames a slow client's connection did not take.",
          &stats::frames_refused);
  counter("skep_http_received_bytes_total", "Bytes from clients.", &stats::bytes_in);
  counter("skep_http_sent_bytes_total", "Bytes to clients.", &stats::bytes_out);
  counter("skep_http_compressed_total", "Answers that were compressed.", &stats::compressed);
  counter("skep_http_compressed_plain_bytes_total", "Their bodies' bytes before.",
          &stats::compressed_bytes_before);
  counter("skep_http_compressed_packed_bytes_total", "Their bodies' bytes after.",
          &stats::compressed_bytes_after);
  const auto refused = [&](const char* bound, auto field) {
    exported_.push_back(metrics.counter_callback(
      "skep_json_refused_total", "Texts that were refused for a bound of their JSON.",
      {{"bound", bound}}, [field] { return static_cast<double>(json::refusals().*field); }));
  };
  refused("depth", &json::refusal_counts::depth);
  refused("elements", &json::refusal_counts::elements);
}

} // namespace skep::actors
