#include "apis/openai/embeddings_json.hpp"

#include "apis/chat/provider_answer.hpp"
#include "apis/chat/request_body.hpp"
#include "runtime/base/base64.hpp"
#include "runtime/json/check.hpp"
#include "runtime/json/string.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

namespace skep::actors {

namespace {

using tree = nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "vectors travel as little-endian floats, which are copied as they are");

std::string text_of(const tree& value) {
  return value.dump(-1, ' ', false, tree::error_handler_t::replace);
}

bool is_token_list(const tree& value) {
  return value.is_array() && !value.empty()
         && std::all_of(value.begin(), value.end(),
                        [](const tree& each) { return each.is_number_unsigned(); });
}

/// Fills texts or tokens; false when the input is neither.
bool read_input(const tree& input, msg::embed_request& into) {
  if (input.is_string()) {
    into.texts.push_back(input.get<std::string>());
    return true;
  }
  if (!input.is_array() || input.empty())
    return false;
  if (std::all_of(input.begin(), input.end(), [](const tree& each) { return each.is_string(); })) {
    into.texts = input.get<std::vector<std::string>>();
    return true;
  }
  if (!is_token_list(input) && !std::all_of(input.begin(), input.end(), is_token_list))
    return false;
  into.tokens = text_of(input);
  return true;
}

/// How many vectors an input asks for.
std::size_t inputs_of(const tree& input) {
  return input.is_array() && !is_token_list(input) ? input.size() : 1;
}

tl::expected<embeddings_body, api_error> read_object(tree& body) {
  if (!body.is_object())
    return bad_request("the body must be a JSON object");
  if (!body.contains("model") || !body["model"].is_string() || body["model"] == "")
    return bad_request("model must be a string", "model");
  embeddings_body read;
  read.request.model = body["model"].get<std::string>();
  const auto input = body.find("input");
  if (input == body.end() || !read_input(*input, read.request))
    return bad_request(
      "input must be a string, or a list of strings, of tokens or of lists of tokens, "
      "and not empty",
      "input");
  if (inputs_of(*input) > embedding_inputs_max)
    return bad_request("input has more than " + std::to_string(embedding_inputs_max) + " items",
                       "input");
  const auto format = body.find("encoding_format");
  if (format != body.end() && *format != "float" && *format != "base64" && !format->is_null())
    return bad_request("encoding_format must be float or base64", "encoding_format");
  read.base64 = format != body.end() && *format == "base64";
  for (const auto* known : {"model", "input", "encoding_format"})
    body.erase(known);
  if (!body.empty())
    read.request.parameters = text_of(body);
  return read;
}

/// One entry of `data`: its vector's bytes.
std::optional<std::string> read_vector(const tree& entry) {
  const auto vector = entry.find("embedding");
  if (vector == entry.end())
    return std::nullopt;
  if (vector->is_string()) {
    auto bytes = from_base64(vector->get_ref<const std::string&>());
    return bytes && bytes->size() % sizeof(float) == 0 ? std::move(bytes) : std::nullopt;
  }
  if (!vector->is_array() || !std::all_of(vector->begin(), vector->end(), [](const tree& each) {
        return each.is_number();
      }))
    return std::nullopt;
  return bytes_of_floats(vector->get<std::vector<float>>());
}

/// Some say only the sum of all tokens, which are the prompt's.
std::uint64_t prompt_tokens_in(const tree& usage) {
  for (const auto* name : {"prompt_tokens", "total_tokens"})
    if (const auto found = usage.find(name); found != usage.end() && found->is_number_unsigned())
      return found->get<std::uint64_t>();
  return 0;
}

void append_numbers(std::string& out, const std::vector<float>& values) {
  std::array<char, 32> text{};
  out += '[';
  for (const float each : values) {
    if (out.back() != '[')
      out += ',';
    // JSON has no other numbers.
    const auto written
      = std::to_chars(text.data(), text.data() + text.size(), std::isfinite(each) ? each : 0.0f);
    out.append(text.data(), written.ptr);
  }
  out += ']';
}

} // namespace

std::string bytes_of_floats(std::span<const float> values) {
  std::string bytes(values.size_bytes(), '\0');
  if (!bytes.empty())
    std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> floats_of_bytes(std::string_view bytes) {
  std::vector<float> values(bytes.size() % sizeof(float) == 0 ? bytes.size() / sizeof(float) : 0);
  if (!values.empty())
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

tl::expected<embeddings_body, api_error> read_embeddings_body(std::string_view text) {
  if (auto sane = check_body(text); !sane)
    return tl::make_unexpected(sane.error());
  auto body = tree::parse(text.begin(), text.end(), nullptr, false);
  return read_object(body);
}

namespace {

constexpr std::string_view base64_end = R"(,"encoding_format":"base64"})";
constexpr std::string_view numbers_end = R"(,"encoding_format":"float"})";

} // namespace

std::string write_embeddings_request(const msg::embed_request& request, bool base64) {
  std::string out = "{\"model\":" + json::quoted(request.model) + ",\"input\":";
  if (!request.tokens.empty()) {
    out += request.tokens;
  } else {
    out += '[';
    for (const auto& text : request.texts) {
      if (out.back() != '[')
        out += ',';
      out += json::quoted(text);
    }
    out += ']';
  }
  if (request.parameters.size() > 2)
    out.append(",").append(request.parameters, 1, request.parameters.size() - 2);
  return out.append(base64 ? base64_end : numbers_end);
}

std::optional<std::string> asking_for_numbers(std::string_view body) {
  if (!body.ends_with(base64_end))
    return std::nullopt;
  body.remove_suffix(base64_end.size());
  return std::string{body}.append(numbers_end);
}

tl::expected<msg::embed_reply, failure> read_embeddings_reply(std::string_view text) {
  if (auto sane = json::check(text); !sane)
    return no_answer("the provider's answer is no JSON we can read: " + sane.error().detail);
  try {
    const auto body = tree::parse(text.begin(), text.end());
    if (!body.is_object() || !body.contains("data") || !body["data"].is_array())
      return no_answer("the provider's answer has no data");
    msg::embed_reply reply;
    if (const auto model = body.find("model"); model != body.end() && model->is_string())
      reply.model = model->get<std::string>();
    const auto& data = body["data"];
    reply.embeddings.resize(data.size());
    std::size_t position = 0;
    for (const auto& entry : data) {
      const auto index = entry.is_object() ? entry.value("index", position) : data.size();
      auto vector = entry.is_object() ? read_vector(entry) : std::nullopt;
      if (!vector || index >= data.size() || !reply.embeddings[index].values.empty())
        return no_answer("the provider's answer has an entry that is no vector of its own");
      reply.embeddings[index].values = std::move(*vector);
      ++position;
    }
    if (const auto usage = body.find("usage"); usage != body.end() && usage->is_object())
      reply.prompt_tokens = prompt_tokens_in(*usage);
    return reply;
  } catch (const std::exception& e) {
    return no_answer(std::string{"the provider's answer is no JSON: "} + e.what());
  }
}

std::string write_embeddings_reply(const msg::embed_reply& reply, bool base64) {
  std::string out = R"({"object":"list","data":[)";
  for (std::size_t n = 0; n < reply.embeddings.size(); ++n) {
    out += n == 0 ? "{" : ",{";
    out += R"("object":"embedding","index":)" + std::to_string(n) + R"(,"embedding":)";
    const auto& bytes = reply.embeddings[n].values;
    if (base64)
      out += '"' + to_base64(bytes) + '"';
    else
      append_numbers(out, floats_of_bytes(bytes));
    out += '}';
  }
  const auto tokens = std::to_string(reply.prompt_tokens);
  return out + "],\"model\":" + json::quoted(reply.model) + R"(,"usage":{"prompt_tokens":)" + tokens
         + ",\"total_tokens\":" + tokens + "}}";
}

} // namespace skep::actors
