#include "runtime/net/http_session_parser.hpp"

#include "runtime/base/assert.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace skep::net {

namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using beast_view = boost::beast::string_view;

std::string_view view(beast_view text) {
  return {text.data(), text.size()};
}

/// Chunk extensions and trailers of one request together; nobody sends any.
constexpr std::size_t overhead_max_bytes = 16 * 1024;
/// The body string asks for this much ahead at most: a client must send bytes to use our memory.
constexpr std::uint64_t body_reserve_max_bytes = 256 * 1024;
/// So far into a request a byte that no method has is refused at once.
constexpr std::size_t method_checked_bytes = 16;
constexpr std::string_view head_too_large
  = "the request head is over the limit; send fewer or shorter header fields";
constexpr std::string_view body_too_large
  = "the request body is over the limit; send a smaller body";

/// Beast's parser for the head alone; it lives for one call, on a head known to be complete.
class head_parser final : public http::basic_parser<true> {
public:
  head_parser(http_request& into, std::string& target) : into_(into), target_(target) {
    header_limit(std::numeric_limits<std::uint32_t>::max());
    skip(true);
  }
  int version = 11;

private:
  void on_request_impl(http::verb, beast_view method, beast_view target, int http_version,
                       error_code&) override {
    into_.method.assign(method.data(), method.size());
    target_.assign(target.data(), target.size());
    version = http_version;
  }
  void on_field_impl(http::field, beast_view name, beast_view value, error_code&) override {
    into_.headers.add(view(name), view(value));
  }
  void on_response_impl(int, beast_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast_view, error_code&) override {
    return 0;
  }
  void on_chunk_header_impl(std::uint64_t, beast_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast_view, error_code&) override {
    return 0;
  }
  void on_finish_impl(error_code&) override {}

  http_request& into_;
  std::string& target_;
};

/// The value of a field that may stand once; `count` says how often it did.
std::string_view single(const http_headers& headers, std::string_view name, int& count) {
  std::string_view found;
  count = 0;
  for (std::size_t i = 0; i < headers.size(); ++i)
    if (equal_ignoring_case(headers.name(i), name)) {
      found = headers.value(i);
      ++count;
    }
  return found;
}

/// Bytes that cannot start a request, such as a TLS hello, are refused before a line is complete.
bool may_start_method(std::string_view data) {
  const auto start = data.substr(0, std::min(data.find(' '), method_checked_bytes));
  return !start.empty() && std::all_of(start.begin(), start.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_';
  });
}

} // namespace

void http_request_parser::reset() {
  state_ = state::head;
  request_ = {};
  refusal_ = {};
  scanned_ = line_start_ = body_received_ = overhead_bytes_ = 0;
  unpacker_.reset();
  remaining_ = 0;
  chunked_ = keep_alive_ = http_1_0_ = expects_continue_ = false;
}

http_request_parser::step http_request_parser::refuse(int status, std::string_view message,
                                                      std::size_t consumed) noexcept {
  state_ = state::done;
  refusal_ = {status, message};
  return {outcome::refused, consumed};
}

http_request_parser::step http_request_parser::feed(std::string_view data) {
  return state_ == state::head ? feed_head(data) : feed_body(data, 0);
}

http_request_parser::step http_request_parser::feed_head(std::string_view data) {
  // RFC 9112 section 2.2: empty lines in front of a request are skipped.
  std::size_t blank = 0;
  while (scanned_ == 0 && data.substr(blank, 2) == "\r\n")
    blank += 2;
  data.remove_prefix(blank);
  if (data.empty() || (scanned_ == 0 && data == "\r"))
    return {outcome::need_more, blank};
  if (scanned_ < method_checked_bytes && !may_start_method(data))
    return refuse(400, "this is not an HTTP request", blank);
  for (;;) {
    const auto lf = data.find('\n', scanned_);
    if (lf == std::string_view::npos || lf >= header_max_bytes_)
      break;
    if (lf == 0 || data[lf - 1] != '\r')
      return refuse(400, "a header line must end with CR LF", blank);
    const bool folded = line_start_ > 0 && (data[line_start_] == ' ' || data[line_start_] == '\t');
    if (folded)
      return refuse(400, "a header field must be on one line", blank);
    const bool head_ends = lf - 1 == line_start_;
    line_start_ = scanned_ = lf + 1;
    if (!head_ends)
      continue;
    return {parse_head(data.substr(0, lf + 1)), blank + lf + 1};
  }
  if (data.size() >= header_max_bytes_)
    return refuse(431, head_too_large, blank);
  scanned_ = data.size();
  return {outcome::need_more, blank};
}

http_request_parser::outcome http_request_parser::parse_head(std::string_view head) {
  std::string target;
  head_parser parser{request_, target};
  error_code ec;
  parser.put(boost::asio::const_buffer{head.data(), head.size()}, ec);
  if (ec == http::error::bad_version) {
    const auto line = head.substr(0, head.find('\r'));
    const bool other_version = line.rfind(" HTTP/") != std::string_view::npos;
    return other_version ? refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here").what
                         : refuse(400, "the request line is malformed").what;
  }
  if (ec || !parser.is_done())
    return refuse(400, "the request line or a header field is malformed").what;
  http_1_0_ = parser.version == 10;
  keep_alive_ = parser.keep_alive();
  split_target(target);
  if (!choose_framing() || !accept_expectation())
    return outcome::refused;
  state_ = state::before_body;
  return outcome::head;
}

bool http_request_parser::choose_framing() {
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  single(request_.headers, "host", hosts);
  const auto length = single(request_.headers, "content-length", lengths);
  const auto encoding = single(request_.headers, "transfer-encoding", encodings);
  if (hosts > 1 || (hosts == 0 && !http_1_0_))
    return refuse(400, "exactly one host field is required"), false;
  if (encodings > 0) {
    // Both fields, or an encoding the next hop may not know, is how requests are smuggled.
    if (lengths > 0 || encodings > 1 || http_1_0_)
      return refuse(400, "transfer-encoding is ambiguous here"), false;
    if (!equal_ignoring_case(encoding, "chunked"))
      return refuse(501, "chunked is the only transfer-encoding understood"), false;
    chunked_ = true;
    return true;
  }
  if (lengths == 0)
    return true;
  const auto* end = length.data() + length.size();
  const auto [stop, error] = std::from_chars(length.data(), end, remaining_);
  if (lengths > 1 || length.empty() || stop != end || error == std::errc::invalid_argument)
    return refuse(400, "content-length must be one number"), false;
  if (error != std::errc{})
    return refuse(413, body_too_large), false;
  return true;
}

http_request_parser::outcome http_request_parser::begin_body(std::size_t body_max_bytes) {
  SKEP_ASSERT(state_ == state::before_body);
  body_max_bytes_ = body_max_bytes;
  if (remaining_ > body_max_bytes_)
    return refuse(413, body_too_large).what;
  if (has_body() && !choose_coding())
    return outcome::refused;
  if (chunked_) {
    state_ = state::chunk_size_first;
    return outcome::need_more;
  }
  if (remaining_ == 0) {
    state_ = state::done;
    return outcome::complete;
  }
  state_ = state::fixed_body;
  request_.body.reserve(std::min(remaining_, body_reserve_max_bytes));
  return outcome::need_more;
}

bool http_request_parser::choose_coding() {
  int fields = 0;
  const auto coding = read_coding(single(request_.headers, "content-encoding", fields));
  if (fields > 1 || !coding)
    return refuse(415, "gzip and zstd, one of them, are the content-encodings understood"), false;
  if (*coding != content_coding::identity)
    unpacker_ = make_unpacker(*coding);
  return true;
}

bool http_request_parser::accept_expectation() {
  const auto expectation = request_.headers.get("expect");
  if (expectation.empty() || http_1_0_)
    return true;
  if (!equal_ignoring_case(expectation, "100-continue"))
    return refuse(417, "100-continue is the only expectation understood"), false;
  expects_continue_ = true;
  return true;
}

/// Proxies send the absolute form "http://host/path"; the authority is of no use to us.
void http_request_parser::split_target(std::string_view target) {
  const auto scheme = target.find("://");
  if (scheme != std::string_view::npos && scheme > 0 && target.front() != '/') {
    const auto path = target.find_first_of("/?", scheme + 3);
    target = path == std::string_view::npos ? std::string_view{} : target.substr(path);
  }
  const auto question = target.find('?');
  request_.path.assign(target.substr(0, question));
  if (request_.path.empty())
    request_.path = "/";
  if (question != std::string_view::npos)
    request_.query.assign(target.substr(question + 1));
}

http_request_parser::step http_request_parser::feed_body(std::string_view data,
                                                         std::size_t consumed) {
  return state_ == state::fixed_body ? feed_fixed(data, consumed) : feed_chunked(data, consumed);
}

http_request_parser::step http_request_parser::feed_fixed(std::string_view data,
                                                          std::size_t consumed) {
  const auto part
    = data.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, data.size())));
  consumed += part.size();
  if (!take_body(part))
    return {outcome::refused, consumed};
  return {remaining_ > 0 ? outcome::need_more : end_body(), consumed};
}

/// Bytes of the body as they came, chunks taken apart.
bool http_request_parser::take_body(std::string_view part) {
  remaining_ -= part.size();
  body_received_ += part.size();
  if (!unpacker_) {
    request_.body.append(part);
    return true;
  }
  switch (unpacker_->feed(part, request_.body, body_max_bytes_)) {
    case unpacker::outcome::taken: return true;
    case unpacker::outcome::too_large: return refuse(413, body_too_large), false;
    case unpacker::outcome::malformed: break;
  }
  return refuse(400, "the body is not what its content-encoding says"), false;
}

http_request_parser::outcome http_request_parser::end_body() {
  if (unpacker_ && !unpacker_->is_whole())
    return refuse(400, "the body ends in the middle of its content-encoding").what;
  state_ = state::done;
  return outcome::complete;
}

http_request_parser::step http_request_parser::feed_chunked(std::string_view data,
                                                            std::size_t consumed) {
  std::size_t at = 0;
  while (at < data.size() && state_ != state::done) {
    if (state_ == state::chunk_data) {
      const auto part = data.substr(
        at, static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, data.size() - at)));
      at += part.size();
      if (!take_body(part))
        return {outcome::refused, consumed + at};
      if (remaining_ == 0)
        state_ = state::chunk_data_cr;
    } else if (!take_chunk_control(data[at++])) {
      return {outcome::refused, consumed + at};
    }
  }
  return {state_ == state::done ? end_body() : outcome::need_more, consumed + at};
}

/// One byte of chunk framing (RFC 9112 section 7.1): a size in hex, an extension nobody reads, the
/// line ends, and trailers, which are skipped so that they cannot pass for header fields.
bool http_request_parser::take_chunk_control(char c) {
  const auto expect = [&](char wanted, state next) {
    if (c != wanted)
      return refuse(400, "the chunked body is malformed"), false;
    state_ = next;
    return true;
  };
  switch (state_) {
    case state::chunk_size_first: remaining_ = 0; return take_size_digit(c);
    case state::chunk_size:
      if (c == '\r')
        return expect('\r', state::chunk_size_lf);
      // RFC 9112 allows blanks in front of the semicolon; nobody sends any, and servers differ.
      if (c == ';')
        return expect(c, state::chunk_extension);
      return take_size_digit(c);
    case state::chunk_extension:
      if (c == '\r')
        return expect('\r', state::chunk_size_lf);
      return c != '\n' ? count_overhead() : expect('\r', state::chunk_size_lf);
    case state::chunk_size_lf: return expect('\n', state_) && end_size_line();
    case state::chunk_data_cr: return expect('\r', state::chunk_data_lf);
    case state::chunk_data_lf: return expect('\n', state::chunk_size_first);
    case state::trailer_start:
      if (c == '\r')
        return expect('\r', state::last_lf);
      state_ = state::trailer;
      [[fallthrough]];
    case state::trailer:
      if (c == '\r')
        return expect('\r', state::trailer_lf);
      return c != '\n' ? count_overhead() : expect('\r', state::trailer_lf);
    case state::trailer_lf: return expect('\n', state::trailer_start);
    case state::last_lf: return expect('\n', state::done);
    default: return refuse(400, "the chunked body is malformed"), false;
  }
}

bool http_request_parser::take_size_digit(char c) {
  unsigned digit = 0;
  const auto [stop, error] = std::from_chars(&c, &c + 1, digit, 16);
  if (error != std::errc{} || stop != &c + 1)
    return refuse(400, "a chunk size must be a hexadecimal number"), false;
  const bool leading_zero = remaining_ == 0 && state_ == state::chunk_size;
  remaining_ = remaining_ * 16 + digit;
  state_ = state::chunk_size;
  if (leading_zero && !count_overhead())
    return false;
  if (remaining_ > body_max_bytes_ - body_received_)
    return refuse(413, body_too_large), false;
  return true;
}

bool http_request_parser::end_size_line() {
  state_ = remaining_ > 0 ? state::chunk_data : state::trailer_start;
  return true;
}

bool http_request_parser::count_overhead() {
  if (++overhead_bytes_ <= overhead_max_bytes)
    return true;
  return refuse(400, "chunk extensions and trailers are over the limit"), false;
}

} // namespace skep::net
