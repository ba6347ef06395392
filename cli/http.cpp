#include "cli/http.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <cctype>
#include <cstdlib>
#include <future>

namespace skep::cli {

namespace {

/// Collects one transfer for a thread that waits.
class waiter : public net::fetch_handler {
public:
  void on_done(net::fetch_result result) noexcept override {
    done_.set_value(std::move(result));
  }
  std::future<net::fetch_result> result() {
    return done_.get_future();
  }

private:
  std::promise<net::fetch_result> done_;
};

} // namespace

std::string base_url(std::string given) {
  while (given.ends_with('/'))
    given.pop_back();
  return given.find("://") == std::string::npos ? "http://" + given : given;
}

std::string url_encoded(const std::string& text) {
  std::string encoded;
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (std::isalnum(byte) != 0 || std::string_view{"-._~"}.find(each) != std::string_view::npos)
      encoded += each;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned>(byte));
  }
  return encoded;
}

net::fetch_request command_request(std::string method, std::string url) {
  net::fetch_request request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.headers = {{"Accept", "application/json"}};
  if (const char* key = std::getenv("SKEP_API_KEY"); key != nullptr && *key != '\0')
    request.headers.emplace_back("Authorization", std::string{"Bearer "} + key);
  request.connect_timeout = std::chrono::seconds{2};
  request.total_timeout = std::chrono::seconds{5};
  return request;
}

net::fetch_result ask(net::http_client& client, std::string method, std::string url) {
  return ask(client, command_request(std::move(method), std::move(url)));
}

net::fetch_result ask(net::http_client& client, net::fetch_request request) {
  auto handler = std::make_shared<waiter>();
  auto result = handler->result();
  if (auto started = client.start(std::move(request), handler); !started) {
    net::fetch_result refused;
    refused.error = net::fetch_error::invalid_request;
    refused.why = started.error();
    return refused;
  }
  return result.get();
}

std::string complaint_of(const net::fetch_result& result) {
  if (result.error == net::fetch_error::invalid_request)
    return "this is no address; write HOST:PORT or http://HOST:PORT";
  if (!result.ok())
    return to_string(result.why);
  const auto body = nlohmann::json::parse(result.body, nullptr, false);
  if (body.is_object() && body.contains("error") && body["error"].is_object())
    if (const auto message = body["error"].find("message");
        message != body["error"].end() && message->is_string())
      return fmt::format("status {}: {}", result.status, message->get<std::string>());
  return fmt::format("status {}", result.status);
}

} // namespace skep::cli
