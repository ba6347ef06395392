#include "apis/anthropic/model_json.hpp"
#include "apis/anthropic/prompt_estimate.hpp"
#include "tests/support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using nlohmann::json;

namespace {

std::uint64_t tokens(std::vector<msg::chat_message> messages, std::string parameters = {}) {
  msg::chat_request request;
  request.messages = std::move(messages);
  request.parameters = std::move(parameters);
  return estimated_prompt_tokens(request);
}

} // namespace

TEST_CASE("models are shown as Anthropic's clients read them", "[anthropic][models]") {
  CHECK(write_anthropic_model({"m", 1'700'000'000, "up"})
        == R"({"type":"model","id":"m","display_name":"m","created_at":"2023-11-14T22:13:20Z"})");
  CHECK(
    write_anthropic_model({"m", 0, "up", R"({"type":"x","display_name":"M","a":1})"})
    == R"({"type":"model","id":"m","display_name":"M","created_at":"1970-01-01T00:00:00Z","a":1})");
  const std::vector<msg::model_entry> models{{"a", 0, {}}, {"b", 0, {}}, {"c", 0, {}}};
  const auto page = [&](std::size_t limit, const std::string& after) {
    return json::parse(write_anthropic_models(models, {limit, after}));
  };
  const auto first = page(2, {});
  CHECK(first["data"].size() == 2);
  CHECK(first["has_more"] == true);
  CHECK(first["first_id"] == "a");
  CHECK(first["last_id"] == "b");
  const auto second = page(2, "b");
  CHECK(second["data"].size() == 1);
  CHECK(second["has_more"] == false);
  CHECK(second["first_id"] == "c");
  const auto back = json::parse(write_anthropic_models(models, {1, {}, "c"}));
  CHECK(back["data"].size() == 1);
  CHECK(back["first_id"] == "b");
  CHECK(back["has_more"] == true);
  const auto none = page(2, "c");
  CHECK(none["data"].empty());
  CHECK(none["first_id"].is_null());
}

TEST_CASE("a prompt's tokens are a quarter of its bytes, those of images bounded",
          "[anthropic][estimate]") {
  CHECK(tokens({{"user", "12345678", {}}}) == 2);
  CHECK(tokens({{"user", "1", {}}}) == 1);
  CHECK(tokens({{"user", "1234", {}}}, R"({"tools":[1234],"max_tokens":100})") == 3);
  msg::chat_message call{"assistant", {}, {}};
  call.tool_calls = {{0, "c", "function", "f", std::string(400, 'x'), {}}};
  CHECK(tokens({call}) >= 100);
  const auto image = R"({"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,)"
                     + std::string(100'000, 'A') + R"("}},{"type":"text","text":"12345678"}]})";
  const auto counted = tokens({{"user", {}, image}});
  CHECK(counted >= 1500);
  CHECK(counted <= 1520);
}
