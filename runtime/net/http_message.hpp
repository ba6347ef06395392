#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace skep::net {

/// Header fields in their order, kept as the block of lines that goes on the wire. Lookup ignores
/// case and is linear: requests carry about ten fields. Not thread-safe.
class http_headers {
public:
  http_headers() = default;
  http_headers(std::initializer_list<std::pair<std::string_view, std::string_view>> fields);

  /// Appends one field. Control characters in the value become spaces, so that no value can start a
  /// second field; a name that is no HTTP token is left out.
  void add(std::string_view name, std::string_view value);
  /// The first value of this name, or an empty view. Valid until the next add().
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept;
  [[nodiscard]] bool contains(std::string_view name) const noexcept;
  [[nodiscard]] std::size_t size() const noexcept {
    return fields_.size();
  }
  [[nodiscard]] std::string_view name(std::size_t index) const noexcept;
  [[nodiscard]] std::string_view value(std::size_t index) const noexcept;
  /// All fields as they stand on the wire, each line ended by CRLF, without the closing empty line.
  [[nodiscard]] const std::string& block() const noexcept {
    return block_;
  }

private:
  struct field {
    std::uint32_t name_at;
    std::uint32_t name_size;
    std::uint32_t value_at;
    std::uint32_t value_size;
  };

  std::string block_;
  std::vector<field> fields_;
};

/// One complete request, its body decoded. A plain value: the handler may move it anywhere.
struct http_request {
  /// As sent, in the client's case: "GET", "POST".
  std::string method;
  /// The target without the query, still percent-encoded; "/" at least, "*" for OPTIONS *.
  std::string path;
  /// What stood behind the first '?', still encoded; empty when there was none.
  std::string query;
  http_headers headers;
  std::string body;
  /// The client as "address:port", for logs.
  std::string peer;
  /// Which of the server's threads owns the connection: 0 to threads - 1.
  int thread_index = 0;

  [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
    return headers.get(name);
  }
};

/// One complete response. The server adds date, content-length and connection itself; the same
/// fields given here are left out, except that `connection: close` closes after this response.
struct http_response {
  int status = 200;
  http_headers headers;
  std::string body;
  /// Where the part of the body begins that other answers may have, too. While several wait for
  /// their clients, an equal large end is kept and counted once. 0: nothing is shared.
  std::size_t shared_from = 0;
};

/// True when both are equal, upper and lower case ASCII letters being the same.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

} // namespace skep::net
