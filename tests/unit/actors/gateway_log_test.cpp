// What a request leaves in the log, and how its model is called in metrics.
#include "tests/support/catch.hpp"
#include "tests/support/log_folder.hpp"
#include "tests/unit/actors/gateway_fixture.hpp"

#include <nlohmann/json.hpp>

using namespace skep;
using namespace skep::actors;
using namespace skep::actors::testing;
using nlohmann::json;
using skep::test::eventually;
using skep::test::log_folder;

namespace {

/// The lines of requests as objects, once `count` requests have ended.
std::vector<json> requests_of(open_gateway& gateway, const log_folder& folder) {
  REQUIRE(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
  std::vector<json> found;
  for (const auto& line : folder.lines())
    if (auto read = json::parse(line); read.at("msg") == "request")
      found.push_back(std::move(read));
  return found;
}

/// The one whose member has this value.
json the_one(const std::vector<json>& lines, const char* member, const json& value) {
  for (const auto& line : lines)
    if (line.contains(member) && line.at(member) == value)
      return line;
  return json::object();
}

/// The number of chats counted under a model's name.
double chats_of(open_gateway& gateway, const std::string& model, const std::string& error = {}) {
  const auto how = error.empty() ? "" : "error_type=\"" + error + "\",";
  return gateway.metric("gen_ai_server_request_duration_seconds_count{" + how
                        + "gen_ai_operation_name=\"chat\",gen_ai_request_model=\"" + model + "\"}");
}

gateway_config with_default() {
  gateway_config options;
  options.default_provider = "sim";
  return options;
}

} // namespace

TEST_CASE("a request's line has fields, without those that say nothing", "[actors][gateway][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config(true)));
  open_gateway gateway;
  CHECK(fetch(gateway, post_chat(order("say a"))).status == 200);
  CHECK(fetch(gateway, get("/v1/models")).status == 200);
  const auto lines = requests_of(gateway, folder);
  REQUIRE(lines.size() == 2);
  const auto chat = the_one(lines, "path", "/v1/chat/completions");
  CHECK(chat.at("level") == "info");
  CHECK(chat.at("method") == "POST");
  CHECK(chat.at("status") == 200);
  CHECK(chat.at("ms").is_number());
  CHECK(chat.at("model") == "helper");
  CHECK(chat.at("cache") == "hit");
  CHECK(chat.contains("request_id"));
  for (const auto* none : {"error", "reason"})
    CHECK_FALSE(chat.contains(none));
  for (const auto* none : {"model", "provider", "attempts", "cache", "tokens_in", "error"})
    CHECK_FALSE(the_one(lines, "path", "/v1/models").contains(none));
}

TEST_CASE("a failed request's line says who was asked for and why it failed",
          "[actors][gateway][log]") {
  const log_folder folder;
  REQUIRE(log::init(folder.config(true)));
  open_gateway gateway;
  CHECK(fetch(gateway, post_chat(order("say a", {}, "asistant"))).status == 404);
  CHECK(fetch(gateway, post_chat("{}")).status == 400);
  CHECK(fetch(gateway, post_chat(order("crash"))).status == 500);
  const auto lines = requests_of(gateway, folder);
  REQUIRE(lines.size() == 3);
  const auto unknown = the_one(lines, "status", 404);
  CHECK(unknown.at("level") == "info");
  CHECK(unknown.at("model") == "asistant");
  CHECK(unknown.at("error") == "not_found");
  CHECK(unknown.at("reason").get<std::string>().find("asistant") != std::string::npos);
  const auto wrong = the_one(lines, "status", 400);
  CHECK(wrong.at("level") == "info");
  CHECK_FALSE(wrong.at("reason").get<std::string>().empty());
  const auto crashed = the_one(lines, "status", 500);
  CHECK(crashed.at("level") == "warn");
  CHECK(crashed.at("model") == "helper");
  CHECK(crashed.at("error") == "actor_failed");
}

TEST_CASE("metrics tell a provider's models apart once they have answered",
          "[actors][gateway][metrics]") {
  open_gateway gateway{with_default()};
  agent_script sim;
  gateway.add_provider("sim", sim);
  CHECK(fetch(gateway, post_chat(order("say a", {}, "gpt-x"))).status == 200);
  CHECK(fetch(gateway, post_chat(order("say a", {}, "sim/gpt-x"))).status == 200);
  CHECK(fetch(gateway, post_chat(order("say a", {}, "gpt-y"))).status == 200);
  const auto missing = "fail " + std::to_string(static_cast<int>(errc::not_found));
  CHECK(fetch(gateway, post_chat(order(missing, {}, "made-up"))).status == 404);
  CHECK(fetch(gateway, post_chat(order(missing, {}, "gpt-x"))).status == 404);
  REQUIRE(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
  CHECK(chats_of(gateway, "sim/gpt-x") == 2); // However it was spelt.
  CHECK(chats_of(gateway, "sim/gpt-y") == 1);
  CHECK(chats_of(gateway, "sim", "not_found") == 1); // Nobody has seen made-up answer.
  CHECK(chats_of(gateway, "sim/gpt-x", "not_found") == 1);
  CHECK(gateway.metric("skep_gateway_model_labels") == 2);
}

TEST_CASE("models beyond model_labels_max are counted as other", "[actors][gateway][metrics]") {
  auto options = with_default();
  options.model_labels_max = 1;
  open_gateway gateway{options};
  agent_script sim;
  gateway.add_provider("sim", sim);
  for (const auto* model : {"one", "two", "three", "one"})
    CHECK(fetch(gateway, post_chat(order("say a", {}, model))).status == 200);
  REQUIRE(eventually([&] { return gateway.metric("skep_http_active") == 0; }));
  CHECK(chats_of(gateway, "sim/one") == 2);
  CHECK(chats_of(gateway, "other") == 2);
  CHECK(gateway.metric("skep_gateway_model_labels") == 1);
  CHECK(gateway.metric("skep_gateway_model_labels_refused_total") == 2);
}
