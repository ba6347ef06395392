#pragma once

#include "apis/openai/responses_json.hpp"
#include "runtime/json/object.hpp"

#include <string>
#include <string_view>
#include <vector>

// Tools of the Responses API in the form of chat completions.
namespace skep::actors {

/// The tools of a request.
struct response_tools {
  /// For the provider, JSON; each name once.
  std::vector<std::string> sent;
  /// Those of the member `tools` that are in force, as the response repeats them, JSON.
  std::vector<std::string> shown;
  /// Sorts of tools that were left out, because nobody here can run them and the model need not.
  std::vector<std::string> left_out;
};

/// Tools of the body and of additional_tools among the items. Functions and custom tools are
/// nested, those in a namespace get their flat_name(), which `rules` remember.
tl::expected<response_tools, api_error> read_response_tools(const json::object& body,
                                                            const std::vector<std::string>& items,
                                                            response_rules& rules);

/// A tool_choice for the provider; `rules` get the names that may be called.
tl::expected<std::string, api_error> read_tool_choice(std::string_view raw, response_rules& rules);

} // namespace skep::actors
