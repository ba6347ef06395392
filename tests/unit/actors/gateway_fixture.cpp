#include "tests/unit/actors/gateway_fixture.hpp"

#include "runtime/telemetry/exposition.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <stdexcept>

namespace skep::actors::testing {

// -- the agent ------------------------------------------------------------------------------------

scripted_agent::scripted_agent(caf::actor_config& config, rt::environment& env,
                               const rt::actor_kind& kind, agent_script& script)
  : bounded_actor(config, env, kind), script_(script) {}

caf::behavior scripted_agent::make_behavior() {
  return {
    [this](const rt::call& c, const msg::chat_request& r) { serve(c, r); },
    [this](const rt::call& c, const msg::models_request&) { list(c); },
  };
}

void scripted_agent::list(const rt::call& c) {
  ++script_.models_calls;
  switch (script_.on_models.load()) {
    case agent_script::models_mode::answer: return reply(c, msg::models_reply{script_.models});
    case agent_script::models_mode::fail:
      return refuse(c, failure{errc::provider_failed, "as told"});
    case agent_script::models_mode::hold: held_.emplace(++last_, take(c)); return;
  }
}

void scripted_agent::serve(const rt::call& c, const msg::chat_request& r) {
  script_.context = c.context;
  script_.request = r;
  ++script_.calls;
  const auto& text = r.messages.back().content;
  const auto verb = text.substr(0, text.find(' '));
  const auto rest = text.size() > verb.size() ? text.substr(verb.size() + 1) : std::string{};
  if (verb == "crash")
    throw std::runtime_error{"asked to"};
  auto out = take(c);
  const auto id = ++last_;
  out.on_cancel([this] { ++script_.cancels; });
  if (verb == "say")
    say(std::move(out), r, rest);
  else if (verb == "fail")
    out.fail(
      failure{static_cast<errc>(std::stoi(rest)), "as told", std::chrono::milliseconds{1500}});
  else if (verb == "cut")
    begin(std::move(out), true);
  else if (verb == "begin")
    begin(std::move(out), false);
  else if (verb == "tools")
    call_tool(std::move(out));
  else if (verb == "lump")
    lump(std::move(out));
  else if (verb == "hold")
    held_.emplace(id, std::move(out));
  else if (verb == "flood") {
    out.open(msg::chat_open{"chatcmpl-1", 1, "tiny", {}, {}});
    out.on_credit([this, id](std::uint64_t) { pour(id); });
    floods_.emplace(id, flood{std::move(out), std::stoul(rest) * 1024});
    pour(id);
  }
}

void scripted_agent::say(rt::responder out, const msg::chat_request& r, const std::string& text) {
  msg::answer_origin origin{"sim", 2, static_cast<std::uint8_t>(msg::cache_status::hit), 60};
  msg::token_usage usage;
  usage.prompt = 7;
  usage.completion = 3;
  if (!r.stream) {
    msg::chat_reply whole;
    whole.id = "chatcmpl-1";
    whole.created = 1;
    whole.model = "tiny";
    whole.choices.emplace_back();
    whole.choices.back().content = text;
    whole.choices.back().finish_reason = "stop";
    whole.usage = usage;
    whole.origin = origin;
    out.reply(std::move(whole));
    return;
  }
  out.open(msg::chat_open{"chatcmpl-1", 1, "tiny", {}, origin});
  for (const char letter : text)
    out.chunk(msg::chat_chunk{0, std::string{letter}, {}, {}, {}});
  out.chunk(msg::chat_chunk{0, {}, {}, "stop", {}});
  out.end(msg::chat_end{usage, origin});
}

void scripted_agent::begin(rt::responder out, bool then_cut) {
  out.open(msg::chat_open{"chatcmpl-1", 1, "tiny", {}, {}});
  out.chunk(msg::chat_chunk{0, "x", {}, {}, {}});
  if (then_cut)
    out.fail(failure{errc::stream_cut, "the provider hung up"});
  else
    held_.emplace(++last_, std::move(out));
}

void scripted_agent::call_tool(rt::responder out) {
  out.open(msg::chat_open{"chatcmpl-1", 1, "tiny", {}, {}});
  out.chunk(msg::chat_chunk{0, {}, {}, {}, {}, {{0, "a", "function", "f", {}, {}}}});
  out.chunk(msg::chat_chunk{0, {}, {}, "tool_calls", {}});
  out.end(msg::chat_end{});
}

void scripted_agent::lump(rt::responder out) {
  msg::chat_reply whole;
  whole.id = "chatcmpl-1";
  whole.model = "tiny";
  whole.choices.emplace_back();
  whole.choices.back().content = std::string(300'000, 'y');
  whole.choices.back().finish_reason = "tool_calls";
  whole.choices.back().tool_calls = {{0, "a", {}, {}, {}, {}}, {1, "b", {}, {}, {}, {}}};
  whole.usage.prompt = 7;
  out.reply(std::move(whole));
}

void scripted_agent::pour(std::uint64_t id) {
  const auto found = floods_.find(id);
  if (found == floods_.end())
    return;
  auto& f = found->second;
  while (f.left > 0 && f.out.credit() > 0) {
    if (!f.out.chunk(msg::chat_chunk{0, std::string(1024, 'x'), {}, {}, {}}))
      break;
    f.left -= 1024;
    script_.sent += 1024;
  }
  if (f.left > 0) {
    ++script_.pauses;
    return;
  }
  f.out.chunk(msg::chat_chunk{0, {}, {}, "stop", {}});
  f.out.end(msg::chat_end{});
  floods_.erase(found);
}

// -- the gateway ----------------------------------------------------------------------------------

open_gateway::open_gateway(gateway_config options, bool over_wire, admin_config operations)
  : sys_(2) {
  if (over_wire) {
    auto wire = rt::loopback_wire::start(sys_.env, rt::loopback_wire::delivery::at_once);
    REQUIRE(wire);
    sys_.env.use_wire(*wire);
  }
  status_.phase = rt::node_phase::ready;
  status_.name = "test";
  cluster_ = rt::make_solo_cluster(sys_.env, "test");
  add_agent("helper", helper);
  options.listen = "127.0.0.1:0";
  const auto shared = std::make_shared<const gateway_config>(options);
  rt::child_spec spec;
  spec.name = "gateway/0";
  spec.guard.use_breaker = false;
  monitor_ = std::make_shared<performance_monitor>(sys_.metrics, ".", sys_.env.now());
  spec.start = [this, &gateways = kind("gateway"), shared] {
    return sys_.env.spawn<gateway>(gateways, shared, status_, std::ref(*cluster_), monitor_);
  };
  rt::supervisor_config rules;
  rules.backoff_min = 1ms;
  const auto tree = rt::supervisor::make(sys_.env, kind("supervisor"), rules, {spec});
  sys_.adopt(tree.root);
  guard_ = tree.guards.front();
  sys_.env.directory().add("gateway/0", guard_);
  listener_ = std::make_unique<http_listener>(http_listener::house{sys_.env, status_, *cluster_},
                                              shared, operations, std::vector{guard_}, monitor_);
  const auto opened = listener_->open();
  REQUIRE(opened);
}

open_gateway::~open_gateway() {
  listener_->close();
  sys_.stop(); // Before the parts its actors use.
}

std::uint16_t open_gateway::port() const {
  const auto where = split_listen(listener_->endpoint());
  REQUIRE(where);
  return where->second;
}

std::uint16_t open_gateway::operations_port() const {
  const auto where = split_listen(listener_->operations_endpoint());
  REQUIRE(where);
  return where->second;
}

void open_gateway::add_agent(const std::string& name, agent_script& script) {
  publish("agent/" + name, sys_.env.spawn<scripted_agent>(kind(name), script));
}

void open_gateway::add_provider(const std::string& name, agent_script& script) {
  publish("provider/" + name, sys_.env.spawn<scripted_agent>(kind(name), script));
}

void open_gateway::publish(const std::string& name, caf::actor who) {
  sys_.env.directory().add(name, sys_.adopt(std::move(who)));
}

void open_gateway::kill_gateway() {
  caf::anon_send_exit(guard_, caf::exit_reason::kill);
}

double open_gateway::metric(std::string_view series) {
  const auto text = "\n" + telemetry::prometheus_text(sys_.metrics);
  const auto at = text.find("\n" + std::string{series} + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

// -- the client -----------------------------------------------------------------------------------

std::string post_chat(std::string_view body, std::string_view more_headers) {
  std::string text = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: "
                     "application/json\r\ncontent-length: ";
  text += std::to_string(body.size());
  text += "\r\n";
  text += more_headers;
  text += "\r\n";
  text += body;
  return text;
}

std::string post_to(std::string_view path, std::string_view body, std::string_view more_headers) {
  auto text = post_chat(body, more_headers);
  const std::string_view chat = "/v1/chat/completions";
  return text.replace(text.find(chat), chat.size(), path);
}

std::string get(std::string_view path, std::string_view more_headers) {
  return "GET " + std::string{path} + " HTTP/1.1\r\nhost: localhost\r\n" + std::string{more_headers}
         + "\r\n";
}

std::string order(std::string_view text, std::string_view more_members, std::string_view model) {
  std::string body = R"({"model":")";
  body += model;
  body += R"(","messages":[{"role":"user","content":")";
  body += text;
  body += R"("}])";
  if (!more_members.empty())
    body += "," + std::string{more_members};
  return body + "}";
}

namespace {

void read_head(const std::string& head, reply& into) {
  if (head.size() < 12)
    return;
  std::from_chars(head.data() + 9, head.data() + 12, into.status);
  for (auto at = head.find("\r\n") + 2; at < head.size();) {
    const auto end = head.find("\r\n", at);
    const auto colon = head.find(": ", at);
    if (end == std::string::npos || colon > end)
      break;
    auto name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    into.headers[name] = head.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
}

/// Reads chunks until the last one or the end of the connection.
void read_chunks(net::testing::raw_client& client, reply& into) {
  for (;;) {
    const auto line = client.read_until("\r\n");
    if (line.empty())
      return;
    const auto size = std::stoul(line, nullptr, 16);
    if (size == 0) {
      into.whole = client.read_until("\r\n") == "\r\n";
      return;
    }
    std::string data;
    while (data.size() < size + 2) {
      const auto part = client.read_some(size + 2 - data.size());
      if (part.empty())
        return;
      data += part;
    }
    into.body += data.substr(0, size);
  }
}

} // namespace

reply read_reply(net::testing::raw_client& client) {
  reply got;
  const auto text = client.read_response();
  const auto head_end = text.find("\r\n\r\n");
  if (head_end == std::string::npos)
    return got;
  read_head(text.substr(0, head_end + 2), got);
  got.body = text.substr(head_end + 4);
  if (got.headers.count("transfer-encoding") == 0)
    return got;
  read_chunks(client, got);
  for (std::size_t at = 0; at < got.body.size();) {
    const auto end = got.body.find("\n\n", at);
    auto event = got.body.substr(at, end - at);
    if (event.starts_with("event: ")) {
      const auto line = event.find('\n');
      got.names.push_back(event.substr(7, line - 7));
      event.erase(0, line == std::string::npos ? line : line + 1);
    }
    CHECK(event.starts_with("data: "));
    got.events.push_back(event.substr(std::min<std::size_t>(6, event.size())));
    at = end == std::string::npos ? end : end + 2;
  }
  return got;
}

reply ask(net::testing::raw_client& client, const std::string& request) {
  REQUIRE(client.send(request));
  return read_reply(client);
}

reply fetch(const open_gateway& gateway, const std::string& request) {
  net::testing::raw_client client{gateway.port()};
  return ask(client, request);
}

reply fetch_operations(const open_gateway& gateway, const std::string& request) {
  net::testing::raw_client client{gateway.operations_port()};
  return ask(client, request);
}

} // namespace skep::actors::testing
