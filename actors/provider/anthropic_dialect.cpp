#include "actors/provider/dialect.hpp"
#include "actors/provider/times.hpp"
#include "apis/anthropic/client_answer.hpp"
#include "apis/anthropic/client_request.hpp"
#include "apis/anthropic/client_turns.hpp"
#include "apis/chat/native.hpp"
#include "runtime/json/object.hpp"

namespace skep::actors {

namespace {

class anthropic_events final : public event_reader {
public:
  expected<chunk_event> read(std::string_view data) override {
    return stream_.read(data);
  }
  bool passes(std::string_view, const chunk_event&) const override {
    return true;
  }
  bool finish_is_enough() const override {
    return false;
  }

private:
  anthropic_stream stream_;
};

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words)
    all += (all.empty() ? "" : ",") + word;
  return all;
}

class messages_codec final : public chat_codec {
public:
  explicit messages_codec(std::shared_ptr<const provider_config> options)
    : options_(std::move(options)) {}

  msg::native_api api() const override {
    return msg::native_api::messages;
  }
  std::string_view path() const override {
    return "/messages";
  }
  expected<std::string> write(const msg::chat_request& request) const override {
    const auto* given = native_request_of(request.native, api());
    // Ids that another provider gave the calls of earlier turns are refused.
    if (given != nullptr && has_own_ids(request.messages))
      return native_body_for(*given, request.model, request.stream);
    anthropic_options how;
    const auto tokens = options_->anthropic.max_tokens_default;
    how.max_tokens = tokens != 0 ? tokens : max_tokens_of(request.model);
    how.reasoning = options_->anthropic.reasoning;
    return write_messages_request(request, how);
  }
  expected<msg::chat_reply> read_reply(std::string_view body) const override {
    return read_messages_reply(body);
  }
  bool passes(std::string_view) const override {
    return true;
  }
  std::unique_ptr<event_reader> read_stream() const override {
    return std::make_unique<anthropic_events>();
  }

private:
  const std::shared_ptr<const provider_config> options_;
};

/// Asks how many tokens a conversation has.
class count_codec final : public chat_codec {
public:
  msg::native_api api() const override {
    return msg::native_api::messages;
  }
  std::string_view path() const override {
    return "/messages/count_tokens";
  }
  expected<std::string> write(const msg::chat_request& request) const override {
    return native_body_for(request.native.front(), request.model, false);
  }
  expected<msg::chat_reply> read_reply(std::string_view body) const override {
    if (!json::is_valid(body) || !json::object{body}.has("input_tokens"))
      return no_answer("the provider's answer has no input_tokens");
    return msg::chat_reply{};
  }
  std::unique_ptr<event_reader> read_stream() const override {
    return std::make_unique<anthropic_events>();
  }
  bool passes(std::string_view) const override {
    return true;
  }
  bool is_metered() const override {
    return false;
  }
};

class anthropic final : public dialect {
public:
  explicit anthropic(const std::shared_ptr<const provider_config>& options)
    : options_(options), messages_(options) {}

  net::fetch_headers headers() const override {
    return headers_for(options_->anthropic.version, options_->anthropic.beta);
  }
  net::fetch_headers headers_of(const msg::chat_request& request) const override {
    auto version = options_->anthropic.version;
    auto betas = options_->anthropic.beta;
    if (speaks(request.native, messages_.api()))
      for (const auto& each : request.native.front().headers) {
        if (each.name == "anthropic-version")
          version = each.value;
        else if (each.name == "anthropic-beta")
          betas.push_back(each.value);
      }
    return headers_for(version, betas);
  }
  const chat_codec& codec_for(const msg::chat_request& request) const override {
    const auto* const given = native_request_of(request.native, messages_.api());
    const bool counts = given != nullptr
                        && given->task == static_cast<std::uint8_t>(msg::native_task::count_tokens);
    return counts ? static_cast<const chat_codec&>(count_) : messages_;
  }

  std::string_view models_path() const override {
    return "/models?limit=1000"; // The most the API gives at a time, and far more than it has.
  }
  expected<std::vector<msg::model_entry>> read_models(std::string_view body) const override;

  expected<void> embeds() const override {
    return fail(errc::bad_request, "Anthropic's API has no embeddings; ask a provider of kind "
                                   "openai for them, for example a local embedding server");
  }

private:
  net::fetch_headers headers_for(const std::string& version,
                                 const std::vector<std::string>& betas) const {
    net::fetch_headers headers{{"anthropic-version", version}};
    if (!options_->api_key.empty())
      headers.emplace_back("x-api-key", options_->api_key.reveal());
    if (!betas.empty())
      headers.emplace_back("anthropic-beta", joined(betas));
    return headers;
  }

  const std::shared_ptr<const provider_config> options_;
  const messages_codec messages_;
  const count_codec count_;
};

expected<std::vector<msg::model_entry>> anthropic::read_models(std::string_view body) const {
  const json::object page{body};
  const auto entries = json::elements_of(page.at("data"));
  if (!entries || !json::is_valid(body))
    return fail(errc::provider_failed, "the provider's list of models has no data");
  std::vector<msg::model_entry> models;
  for (const auto raw : *entries) {
    const json::object entry{raw};
    const auto created = instant_of(entry.text("created_at"));
    if (!entry.text("id").empty())
      models.push_back({entry.text("id"),
                        created ? std::chrono::system_clock::to_time_t(*created) : 0, "anthropic",
                        json::object_without(raw, {"type", "id", "created_at"})});
  }
  return models;
}

} // namespace

std::unique_ptr<const dialect> anthropic_dialect(std::shared_ptr<const provider_config> options) {
  return std::make_unique<anthropic>(options);
}

} // namespace skep::actors
