#include "runtime/net/http_session_output.hpp"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace skep::net {

namespace {

void append_number(std::string& out, std::size_t number, int base = 10) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number, base).ptr;
  out.append(std::begin(digits), end);
}

/// The fields that frame the message belong to the server.
bool is_framing(std::string_view name) noexcept {
  switch (name.size()) {
    case 4: return equal_ignoring_case(name, "date");
    case 10: return equal_ignoring_case(name, "connection");
    case 14: return equal_ignoring_case(name, "content-length");
    case 17: return equal_ignoring_case(name, "transfer-encoding");
    default: return false;
  }
}

void append_fields(std::string& out, const http_headers& headers) {
  bool plain = true;
  for (std::size_t i = 0; i < headers.size(); ++i)
    plain = plain && !is_framing(headers.name(i));
  if (plain) {
    out.append(headers.block());
    return;
  }
  for (std::size_t i = 0; i < headers.size(); ++i)
    if (!is_framing(headers.name(i)))
      out.append(headers.name(i)).append(": ").append(headers.value(i)).append("\r\n");
}

std::string start_head(int status, const http_headers& headers, const http_head_options& options) {
  std::string out;
  out.reserve(160 + headers.block().size());
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::size_t>(status));
  const auto reason
    = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  out.append(" ").append(reason.data(), reason.size());
  out.append("\r\ndate: ").append(options.date).append("\r\n");
  append_fields(out, headers);
  // RFC 9110 section 7.8: whoever names an upgrade says so in connection, too.
  const bool upgrade = headers.contains("upgrade");
  if (options.close)
    out.append(upgrade ? "connection: close, upgrade\r\n" : "connection: close\r\n");
  else if (options.http_1_0)
    out.append("connection: keep-alive\r\n");
  else if (upgrade)
    out.append("connection: upgrade\r\n");
  return out;
}

} // namespace

std::string format_head(int status, const http_headers& headers, const http_head_options& options,
                        std::size_t content_length) {
  auto out = start_head(status, headers, options);
  if (status_has_body(status)) {
    out.append("content-length: ");
    append_number(out, content_length);
    out.append("\r\n");
  }
  return out.append("\r\n");
}

std::string format_stream_head(int status, const http_headers& headers,
                               const http_head_options& options) {
  auto out = start_head(status, headers, options);
  if (status_has_body(status) && !options.http_1_0)
    out.append("transfer-encoding: chunked\r\n");
  return out.append("\r\n");
}

std::string format_chunk(std::string_view frame) {
  std::string out;
  out.reserve(frame.size() + 20);
  append_number(out, frame.size(), 16);
  return out.append("\r\n").append(frame).append("\r\n");
}

void http_output::push(std::string bytes, std::size_t credit, byte_lease lease) {
  push(segment{std::move(bytes), credit, std::move(lease)});
}

void http_output::push(http_tail_ptr tail) {
  push(segment{{}, 0, {}, std::move(tail)});
}

void http_output::push(segment next) {
  if (empty()) {
    segments_.clear();
    first_ = 0;
  }
  bytes_ += next.view().size();
  segments_.push_back(std::move(next));
}

std::span<const boost::asio::const_buffer>
http_output::gather(std::span<boost::asio::const_buffer> into) const noexcept {
  const auto count = std::min(into.size(), segments_.size() - first_);
  for (std::size_t i = 0; i < count; ++i)
    into[i] = boost::asio::buffer(segments_[first_ + i].view());
  if (count > 0)
    into[0] += offset_;
  return into.first(count);
}

std::size_t http_output::consume(std::size_t count) {
  std::size_t credit = 0;
  bytes_ -= count;
  while (!empty() && count >= segments_[first_].view().size() - offset_) {
    count -= segments_[first_].view().size() - offset_;
    offset_ = 0;
    credit += segments_[first_].credit;
    // Gives the memory back now: a slow reader may take the rest minutes later.
    segments_[first_].bytes = {};
    segments_[first_].tail.reset();
    segments_[first_++].lease = {};
  }
  offset_ += count;
  if (empty()) {
    segments_.clear();
    first_ = 0;
  } else if (first_ >= 256) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return credit;
}

} // namespace skep::net
