#include "actors/gateway/door.hpp"

#include "actors/gateway/gateway.hpp"
#include "actors/gateway/http_errors.hpp"

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

} // namespace

door::door(rt::environment& env, std::shared_ptr<const gateway_config> options,
           std::vector<caf::actor> gateways, std::shared_ptr<performance_monitor> monitor)
  : env_(env), options_(std::move(options)),
    observer_(std::make_shared<gateway_observer>(env.metrics(), options_->model_labels_max)),
    monitor_(std::move(monitor)), gateways_(std::move(gateways)) {}

door::~door() {
  close();
}

expected<void> door::open() {
  auto server = net::http_server::start(
    server_config(),
    [this](net::http_request&& request, std::shared_ptr<net::http_exchange> exchange) {
      arrive(std::move(request), std::move(exchange));
    });
  if (!server)
    return fail(server.error());
  server_ = std::move(*server);
  export_stats();
  return {};
}

void door::drain() {
  if (server_)
    server_->stop_accepting();
}

bool door::drained() const {
  return !server_ || server_->drained();
}

void door::close() {
  exported_.clear();
  if (server_)
    server_->stop();
  gateways_.clear();
}

std::string door::endpoint() const {
  return server_ ? server_->local_endpoint() : std::string{};
}

// -- requests -------------------------------------------------------------------------------------

/// The least of ours, what x-request-timeout-ms asks for, and the time-out the official clients
/// tell. At that one they give up by themselves, so they are answered a little before.
duration door::timeout_of(const net::http_request& request) const {
  const auto number_in = [&](const char* name) {
    const auto header = request.header(name);
    double asked = 0;
    std::from_chars(header.data(), header.data() + header.size(), asked);
    return asked > 0 ? asked : std::numeric_limits<double>::infinity();
  };
  const auto clients_own = 1e3 * number_in("x-stainless-timeout");
  const auto ms
    = std::min(clients_own - std::min(client_margin * clients_own, client_margin_max_ms),
               number_in("x-request-timeout-ms"));
  const auto ours = static_cast<double>(options_->request_timeout.count());
  return ms < ours ? milliseconds{static_cast<std::int64_t>(std::ceil(ms))}
                   : options_->request_timeout;
}

void door::arrive(net::http_request&& request, std::shared_ptr<net::http_exchange> exchange) {
  observer_->active.inc();
  const auto client = session::make(
    env_, {std::move(exchange),
           [observer = observer_, monitor = monitor_, &env = env_](const request_summary& done) {
             (*observer)(done);
             monitor->ended(done, env.now());
           },
           request.method, request.path});
  const auto at_work = static_cast<std::uint64_t>(observer_->active.value());
  if (at_work > options_->requests_max && !is_operational(endpoint_of(request.path))) {
    observer_->refused.inc();
    client.self->fail(failure{errc::overloaded, "requests_max requests are at work"});
    return;
  }
  skep::context context;
  context.id = client.self->id();
  context.deadline = env_.now() + timeout_of(request);
  const auto mid = caf::make_message_id(++last_mid_);
  auto token = caf::make_counted<rt::lease>(client.handle, mid, options_->stream_window);
  client.self->attach(token, context.deadline, options_->stream_idle_timeout);
  const auto& to = gateways_[static_cast<std::size_t>(request.thread_index)];
  const auto bytes = request.body.size() + request.headers.block().size();
  http_arrival arrival{std::make_shared<net::http_request>(std::move(request)), client.handle,
                       client.self};
  to->enqueue(caf::make_mailbox_element(client.handle, mid, {},
                                        rt::call{std::move(context), std::move(token), bytes},
                                        std::move(arrival)),
              nullptr);
}

// -- the server -----------------------------------------------------------------------------------

net::http_server_config door::server_config() const {
  net::http_server_config config;
  const auto listen = split_listen(options_->listen);
  config.address = listen->first; // The options' check has read it before.
  config.port = listen->second;
  config.threads = static_cast<int>(options_->threads);
  config.connections_max = options_->connections_max;
  config.body_max_bytes = options_->body_max;
  config.bodies_max_bytes = options_->bodies_max;
  config.header_max_bytes = options_->header_max;
  config.header_timeout = options_->header_timeout;
  config.body_timeout = options_->body_timeout;
  config.keepalive_timeout = options_->keepalive_timeout;
  config.write_timeout = options_->write_timeout;
  config.send_buffer_max_bytes
    = static_cast<std::size_t>(options_->stream_window) * frame_bytes_per_credit + end_frames_bytes;
  config.error_reply = refused_response;
  config.compression.enabled = options_->compression;
  config.compression.min_bytes = options_->compression_min;
  config.compression.max_bytes = options_->compression_max;
  config.compression.level = static_cast<int>(options_->compression_level);
  return config;
}

void door::export_stats() {
  using stats = net::http_server_stats;
  auto& metrics = env_.metrics();
  const auto reader = [this](auto field) -> std::function<double()> {
    return [this, field] { return static_cast<double>(server_->stats().*field); };
  };
  const auto gauge = [&](const char* name, const char* help, auto field) {
    exported_.push_back(metrics.gauge_callback(name, help, {}, reader(field)));
  };
  const auto counter = [&](const char* name, const char* help, auto field) {
    exported_.push_back(metrics.counter_callback(name, help, {}, reader(field)));
  };
  gauge("skep_http_connections", "Open connections.", &stats::connections);
  gauge("skep_http_bodies_bytes", "Bytes of bodies being received.", &stats::bodies_bytes);
  counter("skep_http_accepted_total", "Connections accepted.", &stats::accepted);
  counter("skep_http_accept_failures_total", "Connections accept() failed on.",
          &stats::accept_failures);
  counter("skep_http_connections_refused_total", "Connections over connections_max.",
          &stats::refused);
  counter("skep_http_malformed_total", "Requests refused before they were read whole.",
          &stats::malformed);
  counter("skep_http_bodies_refused_total", "Request bodies over bodies_bytes.",
          &stats::bodies_refused);
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
}

} // namespace skep::actors
