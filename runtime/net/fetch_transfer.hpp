#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/base/expected.hpp"
#include "runtime/net/fetch_deadlines.hpp"
#include "runtime/net/http_client.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// libcurl's own names; the header itself stays in the sources.
using CURL = void;
struct curl_slist;

namespace skep::net {

/// What a transfer shares with its client. Gauges are written by several threads.
struct fetch_counters {
  std::atomic<std::uint64_t> active{0};
  std::atomic<std::uint64_t> queued{0};
  std::atomic<std::uint64_t> paused{0};
  std::atomic<std::uint64_t> started{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> completed{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> connections_opened{0};
  std::atomic<std::uint64_t> connections_reused{0};
};

/// Says why a request cannot be sent: method, header or time-out out of range. Pure.
expected<void> check_request(const fetch_request& request);

/// One exchange: the libcurl handle, its credit and its deadlines. Built by the caller of start(),
/// then touched by the fetch thread only.
class fetch_transfer {
public:
  fetch_transfer(fetch_id id, fetch_request request, std::shared_ptr<fetch_handler> handler,
                 fetch_counters& counters, time_point now);
  fetch_transfer(const fetch_transfer&) = delete;
  fetch_transfer& operator=(const fetch_transfer&) = delete;
  ~fetch_transfer();

  fetch_id id() const noexcept {
    return id_;
  }
  CURL* easy() const noexcept {
    return easy_;
  }
  const std::string& url() const noexcept {
    return request_.url;
  }

  /// Creates the libcurl handle. `share` is the client's TLS session cache.
  expected<void> prepare(const fetch_config& config, void* share, fetch_deadlines& deadlines);
  /// Adds credit and resumes a paused stream, which may deliver at once. False when the transfer
  /// broke on the way; finish it with the CURLcode then found in `code`.
  bool grant(std::int64_t bytes, int& code);
  /// What has run out at `now`, or none; then the deadline has been armed anew.
  fetch_error check_deadline(time_point now);
  /// Reads off libcurl how the transfer went. Call before remove_from_client().
  fetch_result result_of(int curl_code);
  /// The same for an end decided by us.
  fetch_result result_of(fetch_error error, std::string detail);
  /// After a transfer that failed like this its connection is in doubt: tells libcurl not to use it
  /// again, which it would on HTTP/2. False when there is no reason, or no connection. Call before
  /// the handle leaves the client.
  bool shun_connection(fetch_error error);
  /// Tells the handler. The transfer is over; destroy it.
  void finish(fetch_result result);

private:
  static std::size_t header_entry(char* data, std::size_t size, std::size_t n, void* self);
  static std::size_t body_entry(char* data, std::size_t size, std::size_t n, void* self);
  static int request_entry(void* self, char*, char*, int, int);

  bool set_options(const fetch_config& config, void* share);
  bool set_method();
  bool build_headers();
  bool on_header_line(std::string_view line);
  void on_headers_end();
  std::size_t on_body(std::string_view bytes);
  bool collect(std::string_view bytes);
  void on_request_sent();
  void set_paused(bool paused);
  /// The earliest of the deadlines that count in this phase.
  time_point next_deadline() const;
  fetch_error classify(int curl_code) const;
  std::string describe(int curl_code) const;
  void fill(fetch_result& result) const;

  const fetch_id id_;
  const fetch_request request_;
  std::shared_ptr<fetch_handler> handler_;
  fetch_counters& counters_;
  fetch_deadlines* deadlines_ = nullptr;
  std::optional<time_point> armed_;
  CURL* easy_ = nullptr;
  curl_slist* header_list_ = nullptr;
  /// libcurl writes its words here; CURL_ERROR_SIZE is 256.
  std::array<char, 256> error_text_{};

  const time_point accepted_at_;
  std::optional<time_point> sent_at_;
  std::optional<time_point> headers_at_;
  std::optional<time_point> first_byte_at_;
  time_point active_at_{};
  bool waiting_ = true;
  bool paused_ = false;
  bool answering_ = false;
  bool headers_done_ = false;
  /// Set by a callback that makes libcurl stop.
  fetch_error verdict_ = fetch_error::none;
  int status_ = 0;
  bool streamed_ = false;
  std::int64_t credit_;
  std::size_t header_bytes_ = 0;
  std::uint64_t body_bytes_ = 0;
  fetch_headers headers_;
  std::string body_;
};

} // namespace skep::net
