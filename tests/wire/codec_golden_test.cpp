#include "messages/codec.hpp"
#include "messages/schema.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/sample_messages.hpp"

#include <nlohmann/json.hpp>

#include <set>
#include <sstream>

using namespace skep;
using namespace skep::test;

namespace {

const std::filesystem::path source{SKEP_SOURCE_DIR};
const auto golden_folder = source / "tests/wire/golden";
const std::chrono::steady_clock::time_point some_time{std::chrono::hours{5}};

void check_golden(const std::string& name, const std::string& bytes) {
  const auto path = golden_folder / (name + ".hex");
  if (updates_golden() && !std::filesystem::exists(path))
    write_file(path, to_hex(bytes) + "\n");
  INFO("the wire format of " << name << " changed: append fields and raise the version instead; "
                             << "bytes of older versions must decode for ever");
  CHECK(read_file(path) == to_hex(bytes) + "\n");
}

/// The kept schema's fields must be the first fields of the code's, in order and type.
void check_grown_only(const nlohmann::json& kept, const std::vector<message_schema>& now) {
  for (const auto& old : kept["messages"]) {
    const auto name = old["name"].get<std::string>();
    INFO(name
         << " must keep its tag and its fields, in order and type: a new meaning is a new message");
    const auto same
      = std::find_if(now.begin(), now.end(), [&](const auto& each) { return each.name == name; });
    REQUIRE(same != now.end());
    CHECK(std::stoul(old["tag"].get<std::string>(), nullptr, 16) == same->tag);
    REQUIRE(old["fields"].size() <= same->fields.size());
    for (std::size_t n = 0; n < old["fields"].size(); ++n) {
      CHECK(old["fields"][n][0] == same->fields[n].name);
      CHECK(old["fields"][n][1] == same->fields[n].type);
    }
    if (old["fields"].size() < same->fields.size() && same->tag != 0)
      CHECK(old["version"].get<int>() < same->version);
  }
}

/// The structs of messages/*.hpp that have a SKEP_MESSAGE line.
std::set<std::string> messages_in_headers() {
  std::set<std::string> found;
  for (const auto& file : std::filesystem::directory_iterator{source / "messages"}) {
    if (file.path().extension() != ".hpp")
      continue;
    std::istringstream lines{read_file(file.path())};
    std::string name;
    for (std::string line; std::getline(lines, line);) {
      if (constexpr std::string_view begins = "struct "; line.starts_with(begins))
        name = line.substr(begins.size(), line.find(" {") - begins.size());
      if (line.starts_with("  SKEP_MESSAGE("))
        found.insert(name);
    }
  }
  return found;
}

/// The numbers of the fields that are equal in both.
template <record T>
std::vector<std::size_t> same_fields(const T& a, const T& b) {
  std::vector<std::size_t> same;
  std::size_t n = 0;
  std::apply(
    [&](const auto&... left) {
      std::apply(
        [&](const auto&... right) {
          ((left == right ? same.push_back(n++) : static_cast<void>(++n)), ...);
        },
        b.fields());
    },
    a.fields());
  return same;
}

struct two_texts {
  std::string first;
  std::string second;
  SKEP_RECORD(first, second)
};

bool operator==(const two_texts& a, const two_texts& b) {
  return a.fields() == b.fields();
}

/// A message with a field of every shape that the schema knows.
struct every_shape {
  bool flag = true;
  std::uint8_t number = 200;
  std::int64_t negative = -1;
  double share = 0.5;
  std::string text;
  std::vector<two_texts> list;
  std::optional<std::uint32_t> maybe;
  two_texts nested;
  SKEP_MESSAGE(0x8000'0001, 1, flag, number, negative, share, text, list, maybe, nested)
};

} // namespace

TEST_CASE("every message has the bytes it always had", "[wire][codec]") {
  std::apply(
    [](const auto&... sample) {
      const auto one = [](const auto& value) {
        using type = std::remove_cvref_t<decltype(value)>;
        std::string bytes;
        encode(value, bytes);
        check_golden(std::string{message_name<type>()}, bytes);
        const auto back = decode<type>(bytes);
        REQUIRE(back);
        CHECK(*back == value);
      };
      (one(sample), ...);
    },
    sample_messages());
}

template <class T>
static T decode_kept(const char* file) {
  const auto value = decode<T>(from_hex(read_file(golden_folder / file)));
  INFO(file);
  REQUIRE(value);
  return *value;
}

/// Conversations from before tool calls had a field of their own.
static void check_kept_chat() {
  using namespace msg;
  const chat_message asked{"user", "2+2?", R"({"name":"ann"})"};
  CHECK(decode_kept<chat_request>("chat_request.v1.hex")
        == chat_request{"support", {asked}, R"({"temperature":0.5})", true, 1, 60});
  const chat_choice choice{
    1, "assistant", "four", true, "stop", R"({"refusal":null})", R"({"logprobs":null})"};
  CHECK(decode_kept<chat_reply>("chat_reply.v2.hex").choices == std::vector<chat_choice>{choice});
  CHECK(decode_kept<chat_chunk>("chat_chunk.v1.hex")
        == chat_chunk{1, "fo\xc3\xbcr", R"({"tool_calls":[]})", "stop", R"({"logprobs":null})"});
  const tool_call call{1, "c1", "function", "add", R"({"a":2})", R"({"cache_control":{}})"};
  CHECK(decode_kept<chat_request>("chat_request.v2.hex").messages.front().tool_calls
        == std::vector<tool_call>{call});
  CHECK(decode_kept<chat_reply>("chat_reply.v3.hex").choices.front().tool_calls
        == std::vector<tool_call>{call});
  CHECK(decode_kept<chat_open>("chat_open.v2.hex").native == native_text{});
  CHECK(decode_kept<chat_chunk>("chat_chunk.v2.hex").tool_calls == std::vector<tool_call>{call});
  CHECK(decode_kept<flight_request>("flight_request.v2.hex").semantic.text == "2+2?");
  CHECK(decode_kept<chat_reply>("chat_reply.v4.hex").origin.similarity == 971);
  CHECK(decode_kept<chat_open>("chat_open.v3.hex").origin.similarity == 971);
  CHECK(decode_kept<chat_end>("chat_end.v2.hex").origin.similarity == 971);
  const native_request sent{2, R"({"model":"m"})", {{"anthropic-beta", "b"}}, {}, {}};
  CHECK(decode_kept<chat_request>("chat_request.v3.hex").native
        == shared_list<native_request>{sent});
  CHECK(decode_kept<flight_request>("flight_request.v3.hex").native
        == shared_list<native_request>{sent});
  CHECK(decode_kept<models_reply>("models_reply.v1.hex").models
        == std::vector<model_entry>{{"gpt", 1'700'000'000, "openai"}});
  const auto flight = decode_kept<flight_request>("flight_request.v1.hex");
  CHECK(flight.messages == shared_list<chat_message>{asked});
  CHECK(flight.semantic.text == "2+2?");
}

TEST_CASE("bytes of older versions decode, with defaults for what came later", "[wire][codec]") {
  using namespace msg;
  CHECK(decode_kept<cache_put_request>("cache_put_request.v1.hex")
        == cache_put_request{{1, 2}, "value", 1000, 0});
  CHECK(decode_kept<cache_put_request>("cache_put_request.v2.hex")
        == cache_put_request{{1, 2}, "value", 1000, 12});
  CHECK(decode_kept<cache_get_request>("cache_get_request.v1.hex")
        == cache_get_request{{0x0123'4567'89ab'cdef, 0xfedc'ba98'7654'3210}, 5});
  const cache_get_reply found{std::string("\0\xff", 2), 7, 9};
  CHECK(decode_kept<cache_get_reply>("cache_get_reply.v1.hex") == found);
  CHECK(found.found);
  CHECK(decode_kept<cache_clear_request>("cache_clear_request.v1.hex")
        == cache_clear_request{true, {3, 4}});
  CHECK(decode_kept<cache_fill_request>("cache_fill_request.v1.hex")
        == cache_fill_request{12, {{{5, 6}, "value", 100, 900}}});
  CHECK(decode_kept<failure_reply>("failure_reply.v1.hex") == failure_reply{1, "full", 250});
  CHECK(decode_kept<failure_reply>("failure_reply.v2.hex")
        == failure_reply{1, "full", 250, "openai", 503, 2});
  CHECK(decode_kept<failure_reply>("failure_reply.v3.hex")
        == failure_reply{1, "full", 250, "openai", 503, 2, "messages", "overloaded", "busy"});
  const answer_origin origin{"openai", 2, 1, 3600};
  CHECK(decode_kept<chat_reply>("chat_reply.v1.hex").origin == origin);
  CHECK(decode_kept<chat_open>("chat_open.v1.hex").origin == origin);
  CHECK(decode_kept<chat_end>("chat_end.v1.hex").origin == origin);
  check_kept_chat();
  const auto state = decode_kept<member_state>("member_state.v1.hex");
  CHECK(state.vote.number == 4);
  CHECK_FALSE(state.cannot_vote);
}

TEST_CASE("every kind of envelope has the bytes it always had", "[wire][envelope]") {
  for (std::uint8_t kind = 0; kind < envelope_kind_count; ++kind) {
    const auto head = sample_envelope(static_cast<envelope_kind>(kind), some_time);
    std::string bytes;
    encode_envelope(head, "payload", some_time, bytes);
    check_golden("envelope_" + std::to_string(kind), bytes);
    const auto back = decode_envelope(bytes, some_time);
    REQUIRE(back);
    CHECK(back->payload == "payload");
    CHECK(back->head.kind == head.kind);
    CHECK(back->head.source == head.source);
    CHECK(back->head.target == head.target);
    CHECK(back->head.target_name == head.target_name);
    CHECK(back->head.correlation == 42);
    CHECK(back->head.credit == head.credit);
    const bool carries_context = kind <= 1;
    CHECK(back->head.context == (carries_context ? head.context : context{}));
  }
}

TEST_CASE("messages/schema.json is what the code says, and only grows", "[wire][schema]") {
  const auto path = source / "messages/schema.json";
  const auto now = built_in_schema();
  const auto kept = nlohmann::json::parse(read_file(path), nullptr, false);
  if (kept.is_object())
    check_grown_only(kept, now);
  if (updates_golden())
    write_file(path, schema_json(now));
  INFO("after appending a field, write the schema anew with SKEP_UPDATE_GOLDEN=1 and look at the "
       "diff");
  CHECK(read_file(path) == schema_json(now));
}

TEST_CASE("every message of the headers is in the list of all messages", "[wire][schema]") {
  // An answer in a durable cache is kept, not sent.
  std::set<std::string> listed{"cache_record"};
  for (const auto& each : built_in_schema())
    if (each.tag != 0)
      listed.insert(each.name);
  CHECK(listed == messages_in_headers());
}

TEST_CASE("a message without a written sample gets a made one", "[wire][codec]") {
  const auto made = sample_of<every_shape>(written_samples());
  CHECK(same_fields(made, every_shape{}).empty());
  CHECK(made.fields() == sample_of<every_shape>(written_samples()).fields());
  CHECK(made.nested.first != made.nested.second);
}

TEST_CASE("tags are used once", "[wire][schema]") {
  std::set<std::uint32_t> seen;
  for (const auto& each : built_in_schema())
    if (each.tag != 0)
      CHECK(seen.insert(each.tag).second);
}

TEST_CASE("the deadline travels as the time that remains", "[wire][envelope]") {
  auto head = sample_envelope(envelope_kind::request, some_time);
  std::string bytes;
  encode_envelope(head, {}, some_time + std::chrono::seconds{1}, bytes);
  const auto later = some_time + std::chrono::hours{100};
  CHECK(decode_envelope(bytes, later)->head.context.deadline == later + std::chrono::seconds{1});
  head.context.deadline = std::chrono::steady_clock::time_point::max();
  bytes.clear();
  encode_envelope(head, {}, some_time, bytes);
  CHECK(decode_envelope(bytes, later)->head.context.deadline
        == std::chrono::steady_clock::time_point::max());
}

TEST_CASE("a message that belongs to no request travels without a context", "[wire][envelope]") {
  envelope head;
  head.kind = envelope_kind::send;
  std::string bare;
  encode_envelope(head, {}, some_time, bare);
  CHECK(decode_envelope(bare, some_time)->head.context == context{});
  head.context.tenant = "acme";
  std::string full;
  encode_envelope(head, {}, some_time, full);
  CHECK(full.size() > bare.size() + 16);
  CHECK(decode_envelope(full, some_time)->head.context == head.context);
}
