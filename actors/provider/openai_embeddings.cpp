// The part of openai_connector that asks for vectors.
#include "actors/common/embeddings_json.hpp"
#include "actors/provider/openai_connector.hpp"
#include "actors/provider/outcome.hpp"

#include <nlohmann/json.hpp>

#include <numeric>

namespace skep::actors {

namespace {

/// How many vectors a request's input stands for; 0 for an input that is none.
std::size_t vectors_of(const msg::embed_request& request) {
  if (request.tokens.empty())
    return request.texts.size();
  const auto input = nlohmann::json::parse(request.tokens, nullptr, false);
  if (!input.is_array() || input.empty())
    return 0;
  return input.front().is_array() ? input.size() : 1;
}

std::size_t input_bytes_of(const msg::embed_request& request) {
  return std::accumulate(
    request.texts.begin(), request.texts.end(), request.tokens.size(),
    [](std::size_t sum, const std::string& text) { return sum + text.size(); });
}

} // namespace

void openai_connector::embed(const rt::call& c, const msg::embed_request& request) {
  const auto vectors = vectors_of(request);
  if (vectors == 0)
    return refuse(c, failure{errc::bad_request, "there is no text to embed"});
  const auto id = open_job(c);
  if (id == 0)
    return;
  auto& j = jobs_.at(id);
  j.vectors = vectors;
  j.body = write_embeddings_request(request);
  j.prompt_bytes = input_bytes_of(request);
  start_attempt(id);
}

void openai_connector::vectors_came(job_id id, const std::string& body) {
  auto reply = read_embeddings_reply(body);
  if (!reply) {
    const auto error = read_error(body);
    attempt_failed(id, error.message.empty() ? reply.error() : failure_of_error(error));
    return;
  }
  auto& j = jobs_.at(id);
  if (reply->embeddings.size() != j.vectors) {
    attempt_failed(id, failure{errc::provider_failed,
                               "the provider sent " + std::to_string(reply->embeddings.size())
                                 + " vectors for " + std::to_string(j.vectors) + " inputs"});
    return;
  }
  msg::token_usage usage;
  usage.prompt = reply->prompt_tokens;
  j.out.reply(std::move(*reply));
  end(id, errc::none, usage);
}

} // namespace skep::actors
