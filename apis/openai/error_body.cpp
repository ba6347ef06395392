#include "apis/openai/error_body.hpp"

#include "apis/chat/api_status.hpp"
#include "runtime/json/splice.hpp"

namespace skep::actors {

std::string write_error(std::string_view message, std::string_view type, std::string_view param,
                        std::string_view code) {
  std::string out = "{\"error\":{";
  json::append_member(out, "message", message);
  out += ',';
  json::append_member(out, "type", type);
  out += ",\"param\":";
  out += param.empty() ? "null" : json::quoted(param);
  out += ",\"code\":";
  out += code.empty() ? "null" : json::quoted(code);
  return out + "}}";
}

std::string error_body(const failure& why, std::string_view param) {
  const auto shown = api_status_of(why);
  const auto either = [](std::string_view first, std::string_view otherwise) {
    return first.empty() ? otherwise : first;
  };
  return write_error(text_of(why), either(why.provider_type, shown.type), either(param, why.param),
                     either(why.provider_code, shown.code));
}

} // namespace skep::actors
