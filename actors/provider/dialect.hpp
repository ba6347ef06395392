#pragma once

#include "actors/provider/config.hpp"
#include "apis/openai/chat_json.hpp"
#include "messages/chat.hpp"
#include "messages/provider.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/net/fetch_types.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace skep::actors {

/// Understands the events of one streamed answer, in their order. One thread at a time.
class event_reader {
public:
  event_reader() = default;
  event_reader(const event_reader&) = delete;
  event_reader& operator=(const event_reader&) = delete;
  virtual ~event_reader() = default;

  /// Reads the data of one event; errc::provider_failed when it is none of this API's.
  virtual expected<chunk_event> read(std::string_view data) = 0;
  /// Whether clients of this API can read the event as it is; `read` is what was read of it.
  virtual bool passes(std::string_view data, const chunk_event& read) const = 0;
  /// An answer whose choices all have finished is whole even if its last event never came.
  virtual bool finish_is_enough() const = 0;
};

/// How a provider is asked for an answer in one of its APIs, and what it answers means. Pure; any
/// thread.
class chat_codec {
public:
  chat_codec() = default;
  chat_codec(const chat_codec&) = delete;
  chat_codec& operator=(const chat_codec&) = delete;
  virtual ~chat_codec() = default;

  virtual msg::native_api api() const = 0;
  /// Behind the base URL, with a slash at its beginning.
  virtual std::string_view path() const = 0;
  /// The body that asks for an answer; errc::bad_request for what this API cannot do.
  virtual expected<std::string> write(const msg::chat_request& request) const = 0;
  /// A whole answer; errc::provider_failed when the body is none.
  virtual expected<msg::chat_reply> read_reply(std::string_view body) const = 0;
  virtual std::unique_ptr<event_reader> read_stream() const = 0;
  /// Whether clients of this API can read the whole answer as it is.
  virtual bool passes(std::string_view body) const = 0;
  /// False: nothing is generated, and no token is paid for.
  virtual bool is_metered() const {
    return true;
  }
};

/// How one family of APIs is spoken: what goes out, and what comes back means. Everything between,
/// connections, tries and credit, is the connector's. Pure; any thread.
class dialect {
public:
  dialect() = default;
  dialect(const dialect&) = delete;
  dialect& operator=(const dialect&) = delete;
  virtual ~dialect() = default;

  /// Who asks, and in which version of the API. They hold the key: never to be logged.
  virtual net::fetch_headers headers() const = 0;
  /// The same for this request, with what its client said in headers of this API.
  virtual net::fetch_headers headers_of(const msg::chat_request& /*request*/) const {
    return headers();
  }

  /// The API in which the request is asked; it lives as long as the dialect.
  virtual const chat_codec& codec_for(const msg::chat_request& request) const = 0;

  virtual std::string_view models_path() const = 0;
  /// errc::provider_failed when the body is no list of models.
  virtual expected<std::vector<msg::model_entry>> read_models(std::string_view body) const = 0;

  /// Nothing when the API has vectors; else errc::bad_request, which says what to do.
  virtual expected<void> embeds() const = 0;
};

/// OpenAI's chat completions, and all that speak like it at `base_url`;
/// and, where it is there, its Responses API for requests of that. `provider` is its name in the
/// configuration.
std::unique_ptr<const dialect> openai_dialect(std::shared_ptr<const provider_config> options,
                                              const std::string& provider,
                                              std::string_view base_url);
/// Anthropic's Messages API.
std::unique_ptr<const dialect> anthropic_dialect(std::shared_ptr<const provider_config> options);
/// The one of `options.kind`.
std::unique_ptr<const dialect> dialect_of(std::shared_ptr<const provider_config> options,
                                          const std::string& provider, std::string_view base_url);

} // namespace skep::actors
