#include "tests/unit/actors/provider_fixture.hpp"

#include "apis/chat/tool_calls.hpp"
#include "runtime/cluster/loopback_wire.hpp"
#include "tests/support/catch.hpp"

#include <array>

namespace skep::actors::testing {

// -- call_record ----------------------------------------------------------------------------------

void call_record::add(const rt::answer& got) {
  constexpr std::array words{"reply", "open", "chunk", "end", "failed"};
  const std::string word = words.at(static_cast<std::size_t>(got.what));
  const std::lock_guard guard{lock_};
  if (word != "chunk" || !story_.ends_with("chunk"))
    story_ += (story_.empty() ? "" : " ") + word;
  if (const auto* piece = got.get<msg::chat_chunk>()) {
    text_ += piece->content;
    deltas_ += piece->delta_rest;
    if (!piece->tool_calls.empty())
      append_tool_call_pieces(deltas_, piece->tool_calls);
    cost_ += bytes_of(*piece);
  }
  if (const auto* begin = got.get<msg::chat_open>())
    attempts_ = begin->origin.attempts;
  if (const auto* end = got.get<msg::chat_end>())
    usage_ = end->usage;
  if (const auto* whole = got.get<msg::chat_reply>()) {
    text_ = whole->choices.at(0).content;
    usage_ = whole->usage;
    attempts_ = whole->origin.attempts;
  }
  if (const auto* list = got.get<msg::models_reply>())
    models_ = *list;
  if (const auto* embedded = got.get<msg::embed_reply>())
    vectors_ = *embedded;
  why_ = got.why;
  complete_ = got.last();
}

std::string call_record::story() const {
  const std::lock_guard guard{lock_};
  return story_;
}
std::string call_record::text() const {
  const std::lock_guard guard{lock_};
  return text_;
}
std::string call_record::deltas() const {
  const std::lock_guard guard{lock_};
  return deltas_;
}
bool call_record::complete() const {
  const std::lock_guard guard{lock_};
  return complete_;
}
failure call_record::why() const {
  const std::lock_guard guard{lock_};
  return why_;
}
msg::token_usage call_record::usage() const {
  const std::lock_guard guard{lock_};
  return usage_;
}
std::uint32_t call_record::attempts() const {
  const std::lock_guard guard{lock_};
  return attempts_;
}
msg::models_reply call_record::models() const {
  const std::lock_guard guard{lock_};
  return models_;
}
msg::embed_reply call_record::vectors() const {
  const std::lock_guard guard{lock_};
  return vectors_;
}
std::uint64_t call_record::cost() const {
  const std::lock_guard guard{lock_};
  return cost_;
}

// -- asker ----------------------------------------------------------------------------------------

caf::behavior asker::make_behavior() {
  return {[this](const order& what) { what.run(*this); }};
}

void asker::grant_to(const record_ptr& whom, std::uint64_t bytes) {
  grant(whom->key_, bytes);
}

void asker::forget(const record_ptr& whom) {
  give_up(whom->key_);
}

// -- open_provider --------------------------------------------------------------------------------

provider_config quick_options() {
  provider_config options;
  options.retry_backoff_min = std::chrono::milliseconds{1};
  options.retry_backoff_max = std::chrono::milliseconds{2};
  options.retry_reserve_per_s = 10;
  return options;
}

open_provider::open_provider(skep::testing::tiny_upstream::script script, provider_config options,
                             bool over_wire)
  : upstream_(std::move(script)), sys_(2), meters_(sys_.metrics, "test"),
    fetch_(net::fetch_config{}) {
  const auto& kind = sys_.kind("provider/test");
  const auto shared = std::make_shared<const provider_config>(std::move(options));
  connector_ = sys_.env.spawn<http_connector>(kind, "test", upstream_.url("/v1"), shared, fetch_);
  if (over_wire) {
    auto wire = rt::loopback_wire::start(sys_.env, rt::loopback_wire::delivery::at_once);
    REQUIRE(wire);
    sys_.env.use_wire(*wire);
  }
  reached_ = sys_.env.reach(connector_);
  asker_ = sys_.env.spawn<asker>(kind);
}

open_provider::~open_provider() {
  for (const auto& who : {asker_, connector_})
    caf::anon_send_exit(who, caf::exit_reason::kill);
  asker_ = connector_ = reached_ = guard_ = nullptr;
  CHECK(test::eventually([this] { return sys_.env.live_actors() == 0; }));
  sys_.stop(); // Before the transfers' client, which its actors use.
}

void open_provider::order(std::function<void(asker&)> what) {
  caf::anon_send<caf::message_priority::high>(asker_, asker::order{std::move(what)});
}

skep::context open_provider::context(duration deadline) {
  skep::context made;
  made.id = make_request_id();
  made.deadline = clock::now() + deadline;
  const auto trace = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  REQUIRE(trace);
  made.trace = *trace;
  return made;
}

record_ptr open_provider::chat(bool stream, std::uint64_t window, duration deadline) {
  auto record = std::make_shared<call_record>();
  msg::chat_request request;
  request.model = "m";
  request.messages = {{"user", "hi", {}}};
  request.stream = stream;
  order([=, this, c = context(deadline)](asker& who) {
    who.send(reached_, c, request, record, window);
  });
  return record;
}

record_ptr open_provider::finish_chat(bool stream, duration deadline) {
  auto record = chat(stream, 64u << 10, deadline);
  CHECK(test::eventually([&] { return record->complete(); }));
  return record;
}

record_ptr open_provider::finish_chat(const msg::chat_request& request) {
  auto record = std::make_shared<call_record>();
  order(
    [=, this, c = context(20s)](asker& who) { who.send(reached_, c, request, record, 64u << 10); });
  CHECK(test::eventually([&] { return record->complete(); }));
  return record;
}

record_ptr open_provider::models() {
  auto record = std::make_shared<call_record>();
  order([=, this, c = context(20s)](asker& who) {
    who.send(reached_, c, msg::models_request{}, record, 0);
  });
  CHECK(test::eventually([&] { return record->complete(); }));
  return record;
}

record_ptr open_provider::embed(const msg::embed_request& request) {
  auto record = std::make_shared<call_record>();
  order([=, this, c = context(20s)](asker& who) { who.send(reached_, c, request, record, 0); });
  CHECK(test::eventually([&] { return record->complete(); }));
  return record;
}

void open_provider::grant(const record_ptr& whom, std::uint64_t bytes) {
  order([=](asker& who) { who.grant_to(whom, bytes); });
}

void open_provider::give_up(const record_ptr& whom) {
  order([=](asker& who) { who.forget(whom); });
}

void open_provider::guard_with(const rt::guard_config& rules) {
  guard_ = rt::guard::make(sys_.env, "provider/test", rules);
  rt::guard::of(guard_).put(connector_);
  reached_ = guard_;
}

flow::breaker_state open_provider::circuit() const {
  return rt::guard::of(guard_).state();
}

void open_provider::kill_connector() {
  caf::anon_send_exit(connector_, caf::exit_reason::kill);
}

// -- scripts --------------------------------------------------------------------------------------

skep::testing::tiny_upstream::script
counting(std::atomic<int>& count,
         std::function<void(skep::testing::upstream_connection&, int)> answer) {
  return skep::testing::tiny_upstream::each_request(
    [&count, answer = std::move(answer)](skep::testing::upstream_connection& on,
                                         skep::testing::upstream_request&) {
      answer(on, count++);
    });
}

void send_stream(skep::testing::upstream_connection& on,
                 std::initializer_list<std::string> events) {
  on.begin_chunks();
  for (const auto& event : events)
    on.send_chunk(event);
  on.end_chunks();
}

std::string error_body(const std::string& message, const std::string& code) {
  return R"({"error":{"message":")" + message + R"(","type":"t","code":")" + code + R"("}})";
}

std::string sse(const std::string& json) {
  return "data: " + json + "\n\n";
}

std::string sse_text(const std::string& content) {
  return sse(R"({"id":"c","model":"m","choices":[{"index":0,"delta":{"content":")" + content
             + R"("},"finish_reason":null}]})");
}

} // namespace skep::actors::testing
