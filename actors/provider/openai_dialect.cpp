#include "actors/provider/dialect.hpp"
#include "apis/chat/native.hpp"
#include "apis/openai/extensions.hpp"
#include "apis/openai/foreign_parts.hpp"
#include "apis/openai/native_chat.hpp"
#include "apis/openai/native_response.hpp"

#include <algorithm>
#include <array>

namespace skep::actors {

namespace {

class openai_events final : public event_reader {
public:
  expected<chunk_event> read(std::string_view data) override {
    if (data != "[DONE]")
      return reader_.read(data);
    chunk_event done;
    done.last = true;
    return done;
  }
  /// Some servers leave [DONE] out.
  bool passes(std::string_view data, const chunk_event& read) const override {
    return data == "[DONE]" || is_regular_piece(data, read.chunks);
  }
  bool finish_is_enough() const override {
    return true;
  }

private:
  chunk_reader reader_;
};

/// OpenAI's own service refuses members it does not know; others know some of them.
bool drops_extensions(provider_extensions wish, std::string_view base_url) {
  switch (wish) {
    case provider_extensions::pass: return false;
    case provider_extensions::drop: return true;
    case provider_extensions::automatic: break;
  }
  return base_url.find("://api.openai.com/") != std::string_view::npos;
}

/// OpenAI's models that reason refuse `max_tokens`, which Anthropic's clients must say, and all of
/// its models take the other name. Of those who refuse what they do not know, Mistral does that.
bool has_newer_bound(std::string_view base_url) {
  return base_url.find("://api.mistral.ai") == std::string_view::npos;
}

class completions_codec final : public chat_codec {
public:
  completions_codec(std::shared_ptr<const provider_config> options, std::string_view base_url)
    : options_(std::move(options)),
      drops_extensions_(drops_extensions(options_->extensions, base_url)),
      renames_bound_(drops_extensions_ && has_newer_bound(base_url)) {}

  msg::native_api api() const override {
    return msg::native_api::chat;
  }
  std::string_view path() const override {
    return "/chat/completions";
  }
  expected<std::string> write(const msg::chat_request& request) const override {
    const bool translate = has_anthropic_words(request.parameters);
    const bool foreign = has_foreign_parts(request.messages);
    const auto* const given = native_request_of(request.native, api());
    const auto as_it_came = [&] {
      return native_chat_body(*given, request.model, request.stream, options_->stream_usage);
    };
    if (!drops_extensions_ && given != nullptr)
      return as_it_came();
    auto plain = drops_extensions_ ? without_extensions(request) : request;
    if (given != nullptr && !translate && !foreign && plain == request)
      return as_it_came();
    if (foreign)
      plain.messages = in_openai_parts(plain.messages);
    if (translate)
      plain.parameters = in_openai_words(plain.parameters);
    if (renames_bound_ && speaks(request.native, msg::native_api::messages))
      plain.parameters = with_newer_bound(plain.parameters);
    return write_chat_request(plain, options_->stream_usage);
  }
  expected<msg::chat_reply> read_reply(std::string_view body) const override {
    return read_chat_reply(body);
  }
  bool passes(std::string_view body) const override {
    return is_regular_chat(body);
  }
  std::unique_ptr<event_reader> read_stream() const override {
    return std::make_unique<openai_events>();
  }

private:
  const std::shared_ptr<const provider_config> options_;
  const bool drops_extensions_;
  const bool renames_bound_;
};

class response_events final : public event_reader {
public:
  expected<chunk_event> read(std::string_view data) override {
    return data == "[DONE]" ? expected<chunk_event>{chunk_event{}} : reader_.read(data);
  }
  bool passes(std::string_view data, const chunk_event&) const override {
    return data.starts_with('{');
  }
  bool finish_is_enough() const override {
    return false;
  }

private:
  response_reader reader_;
};

/// Only for requests that came in this API: they go out, and their answers come back, as they are.
class responses_codec final : public chat_codec {
public:
  msg::native_api api() const override {
    return msg::native_api::responses;
  }
  std::string_view path() const override {
    return "/responses";
  }
  expected<std::string> write(const msg::chat_request& request) const override {
    return native_body_for(request.native.front(), request.model, request.stream);
  }
  expected<msg::chat_reply> read_reply(std::string_view body) const override {
    return read_response(body);
  }
  bool passes(std::string_view) const override {
    return true;
  }
  std::unique_ptr<event_reader> read_stream() const override {
    return std::make_unique<response_events>();
  }
};

/// Services that have the Responses API and keep what they answered, each address for itself.
/// Others may: they say so in the configuration.
bool has_responses(const provider_config& from, std::string_view base_url) {
  constexpr std::array known{"://api.openai.com/", ".openai.azure.com/", "://api.x.ai/"};
  if (from.responses != provider_responses::automatic)
    return from.responses == provider_responses::on;
  if (from.base_urls.size() > 1)
    return false;
  return std::any_of(known.begin(), known.end(), [&](std::string_view each) {
    return base_url.find(each) != std::string_view::npos;
  });
}

class openai final : public dialect {
public:
  openai(const std::shared_ptr<const provider_config>& options, std::string provider,
         std::string_view base_url)
    : options_(options), provider_(std::move(provider)), completions_(options, base_url),
      has_responses_(has_responses(*options, base_url)) {}

  net::fetch_headers headers() const override {
    net::fetch_headers headers;
    if (!options_->api_key.empty())
      headers.emplace_back("Authorization", "Bearer " + options_->api_key.reveal());
    if (!options_->organization.empty())
      headers.emplace_back("OpenAI-Organization", options_->organization);
    if (!options_->project.empty())
      headers.emplace_back("OpenAI-Project", options_->project);
    return headers;
  }

  const chat_codec& codec_for(const msg::chat_request& request) const override {
    const auto* const given = native_request_of(request.native, responses_.api());
    const bool passes = has_responses_ && given != nullptr
                        && (given->provider.empty() || given->provider == provider_);
    return passes ? static_cast<const chat_codec&>(responses_) : completions_;
  }

  std::string_view models_path() const override {
    return "/models";
  }
  expected<std::vector<msg::model_entry>> read_models(std::string_view body) const override {
    return actors::read_models(body);
  }
  expected<void> embeds() const override {
    return {};
  }

private:
  const std::shared_ptr<const provider_config> options_;
  const std::string provider_;
  const completions_codec completions_;
  const responses_codec responses_;
  const bool has_responses_;
};

} // namespace

std::unique_ptr<const dialect> openai_dialect(std::shared_ptr<const provider_config> options,
                                              const std::string& provider,
                                              std::string_view base_url) {
  return std::make_unique<openai>(options, provider, base_url);
}

std::unique_ptr<const dialect> dialect_of(std::shared_ptr<const provider_config> options,
                                          const std::string& provider, std::string_view base_url) {
  return options->kind == provider_kind::anthropic
           ? anthropic_dialect(std::move(options))
           : openai_dialect(std::move(options), provider, base_url);
}

} // namespace skep::actors
