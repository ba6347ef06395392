#include "runtime/net/fetch_transfer.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/base/text.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace skep::net {

namespace {

/// Far beyond any answer, and within the 2^31 ms that libcurl takes.
constexpr std::chrono::hours timeout_max{24};

/// One read of a socket, hence the most that on_data gets at once and the most credit is overshot.
constexpr long read_bytes = 16'384;
static_assert(read_bytes <= CURL_MAX_WRITE_SIZE);

bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || marks.find(c) != std::string_view::npos;
  });
}

/// What providers are asked for, as far as this libcurl reads it.
const char* accepted_encodings() {
  static const std::string names = [] {
    const auto features = curl_version_info(CURLVERSION_NOW)->features;
    std::string list;
    if ((features & CURL_VERSION_LIBZ) != 0)
      list = "gzip";
    if ((features & CURL_VERSION_ZSTD) != 0)
      list += list.empty() ? "zstd" : ", zstd";
    return list.empty() ? std::string{"identity"} : list;
  }();
  return names.c_str();
}

std::chrono::microseconds since(time_point start, time_point end) {
  return std::chrono::duration_cast<std::chrono::microseconds>(end - start);
}

} // namespace

expected<void> check_request(const fetch_request& request) {
  if (!is_token(request.method))
    return fail(errc::bad_request, "the HTTP method is not a token");
  for (const auto timeout : {request.connect_timeout, request.first_byte_timeout,
                             request.idle_timeout, request.total_timeout})
    if (timeout.count() <= 0 || timeout > timeout_max)
      return fail(errc::bad_request, "every time-out of an HTTP request must be above 0 and at "
                                     "most 24 h");
  for (const auto& [name, value] : request.headers) {
    // A line break in a value would start another header, or another request.
    if (!is_token(name) || value.find_first_of(std::string_view{"\r\n\0", 3}) != std::string::npos)
      return fail(errc::bad_request, "an HTTP header holds a character that must not be there");
    const fetch_headers one{{name, {}}};
    if (find_header(one, "content-length") || find_header(one, "transfer-encoding"))
      return fail(errc::bad_request, "leave " + name + " to the HTTP client");
  }
  return {};
}

fetch_transfer::fetch_transfer(fetch_id id, fetch_request request,
                               std::shared_ptr<fetch_handler> handler, fetch_counters& counters,
                               time_point now)
  : id_(id), request_(std::move(request)), handler_(std::move(handler)), counters_(counters),
    accepted_at_(now), active_at_(now), credit_(request_.window_bytes) {}

fetch_transfer::~fetch_transfer() {
  if (deadlines_ != nullptr)
    deadlines_->disarm(id_, armed_);
  curl_easy_cleanup(easy_);
  curl_slist_free_all(header_list_);
}

expected<void> fetch_transfer::prepare(const fetch_config& config, void* share,
                                       fetch_deadlines& deadlines) {
  deadlines_ = &deadlines;
  easy_ = curl_easy_init();
  if (easy_ == nullptr || !build_headers() || !set_options(config, share) || !set_method())
    return fail(errc::transport_failed, "libcurl refused an option of this request");
  deadlines_->arm_by(id_, armed_, next_deadline());
  return {};
}

bool fetch_transfer::build_headers() {
  const auto append = [this](const std::string& line) {
    curl_slist* longer = curl_slist_append(header_list_, line.c_str());
    if (longer != nullptr)
      header_list_ = longer;
    return longer != nullptr;
  };
  // "Name;" is how libcurl spells a header without a value.
  for (const auto& [name, value] : request_.headers) {
    std::string line = name;
    line += value.empty() ? ";" : ": ";
    line += value;
    if (!append(line))
      return false;
  }
  // A bare "Name:" removes a header libcurl would add: the wait for 100-continue costs a round
  // trip, and the form type would be a lie.
  if (!append("Expect:"))
    return false;
  return find_header(request_.headers, "content-type") || append("Content-Type:");
}

bool fetch_transfer::set_options(const fetch_config& config, void* share) {
  bool ok = true;
  const auto set = [&](CURLoption option, auto value) {
    ok = ok && curl_easy_setopt(easy_, option, value) == CURLE_OK;
  };
  set(CURLOPT_PRIVATE, this);
  set(CURLOPT_ERRORBUFFER, error_text_.data());
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_HTTPHEADER, header_list_);
  set(CURLOPT_HTTP_VERSION,
      static_cast<long>(config.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  // No signals and no waiting for a resolver thread: both would touch or stop the fetch thread.
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_BUFFERSIZE, read_bytes);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout.count()));
  const auto in_seconds = [](std::chrono::milliseconds of) {
    return static_cast<long>(std::chrono::ceil<std::chrono::seconds>(of).count());
  };
  set(CURLOPT_MAXAGE_CONN, in_seconds(config.connection_idle_ttl));
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, in_seconds(config.keepalive_interval));
  set(CURLOPT_TCP_KEEPINTVL, in_seconds(config.keepalive_interval));
  set(CURLOPT_SSL_VERIFYPEER, config.verify_tls ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, config.verify_tls ? 2L : 0L);
  if (!config.ca_file.empty())
    set(CURLOPT_CAINFO, config.ca_file.c_str());
  if (!config.proxy_from_environment)
    set(CURLOPT_PROXY, "");
  if (request_.compressed)
    set(CURLOPT_ACCEPT_ENCODING, accepted_encodings());
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_SHARE, share);
  set(CURLOPT_HEADERFUNCTION, &header_entry);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_WRITEFUNCTION, &body_entry);
  set(CURLOPT_WRITEDATA, this);
  set(CURLOPT_PREREQFUNCTION, &request_entry);
  set(CURLOPT_PREREQDATA, this);
  return ok;
}

bool fetch_transfer::set_method() {
  const std::string& method = request_.method;
  if (method == "HEAD")
    return curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L) == CURLE_OK;
  if (request_.body.empty() && method != "POST")
    return curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method.c_str()) == CURLE_OK;
  // libcurl reads the body in place; request_ outlives the handle.
  return curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.data()) == CURLE_OK
         && curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                             static_cast<curl_off_t>(request_.body.size()))
              == CURLE_OK
         && curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST,
                             method == "POST" ? nullptr : method.c_str())
              == CURLE_OK;
}

std::size_t fetch_transfer::header_entry(char* data, std::size_t size, std::size_t n, void* self) {
  const std::size_t bytes = size * n;
  return static_cast<fetch_transfer*>(self)->on_header_line({data, bytes}) ? bytes : 0;
}

std::size_t fetch_transfer::body_entry(char* data, std::size_t size, std::size_t n, void* self) {
  return static_cast<fetch_transfer*>(self)->on_body({data, size * n});
}

int fetch_transfer::request_entry(void* self, char*, char*, int, int) {
  static_cast<fetch_transfer*>(self)->on_request_sent();
  return CURL_PREREQFUNC_OK;
}

void fetch_transfer::on_request_sent() {
  sent_at_ = clock::now();
  if (std::exchange(waiting_, false))
    --counters_.queued;
  deadlines_->arm_by(id_, armed_, next_deadline());
}

bool fetch_transfer::on_header_line(std::string_view line) {
  answering_ = true;
  active_at_ = clock::now();
  header_bytes_ += line.size();
  if (header_bytes_ > request_.header_max) {
    verdict_ = fetch_error::too_large;
    return false;
  }
  // What comes after the body are trailers; nobody asked for them.
  if (headers_done_)
    return true;
  const auto text = trimmed(line, white_space);
  if (text.empty()) {
    on_headers_end();
  } else if (text.starts_with("HTTP/")) {
    headers_.clear();
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    headers_.emplace_back(trimmed(text.substr(0, colon), white_space),
                          trimmed(text.substr(colon + 1), white_space));
  }
  return true;
}

void fetch_transfer::on_headers_end() {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  // 100-continue and early hints announce another block.
  if (status / 100 == 1)
    return;
  headers_done_ = true;
  headers_at_ = active_at_;
  status_ = static_cast<int>(status);
  streamed_ = request_.streaming && status / 100 == 2;
  handler_->on_headers(status_, headers_);
}

std::size_t fetch_transfer::on_body(std::string_view bytes) {
  const time_point now = clock::now();
  active_at_ = now;
  if (!first_byte_at_) {
    first_byte_at_ = now;
    deadlines_->arm_by(id_, armed_, next_deadline());
  }
  if (!streamed_) {
    body_bytes_ += bytes.size();
    return collect(bytes) ? bytes.size() : 0;
  }
  if (credit_ <= 0) {
    // libcurl keeps these bytes and brings them again once grant() resumes the transfer.
    set_paused(true);
    return CURL_WRITEFUNC_PAUSE;
  }
  body_bytes_ += bytes.size();
  credit_ -= static_cast<std::int64_t>(bytes.size());
  handler_->on_data(bytes);
  return bytes.size();
}

bool fetch_transfer::collect(std::string_view bytes) {
  const std::size_t room = request_.body_max - body_.size();
  body_.append(bytes.substr(0, room));
  if (bytes.size() <= room)
    return true;
  verdict_ = fetch_error::too_large;
  return false;
}

void fetch_transfer::set_paused(bool paused) {
  if (std::exchange(paused_, paused) == paused)
    return;
  if (paused)
    ++counters_.paused;
  else
    --counters_.paused;
}

bool fetch_transfer::grant(std::int64_t bytes, int& code) {
  if (__builtin_add_overflow(credit_, bytes, &credit_))
    credit_ = std::numeric_limits<std::int64_t>::max();
  if (!paused_ || credit_ <= 0)
    return true;
  set_paused(false);
  active_at_ = clock::now();
  deadlines_->arm_by(id_, armed_, next_deadline());
  const CURLcode rc = curl_easy_pause(easy_, CURLPAUSE_CONT);
  code = rc;
  return rc == CURLE_OK;
}

time_point fetch_transfer::next_deadline() const {
  time_point at = accepted_at_ + request_.total_timeout;
  if (first_byte_at_) {
    if (!paused_)
      at = std::min(at, active_at_ + request_.idle_timeout);
  } else if (sent_at_) {
    at = std::min(at, *sent_at_ + request_.first_byte_timeout);
  }
  return at;
}

fetch_error fetch_transfer::check_deadline(time_point now) {
  const time_point at = next_deadline();
  if (at > now) {
    deadlines_->disarm(id_, armed_);
    deadlines_->arm_by(id_, armed_, at);
    return fetch_error::none;
  }
  if (accepted_at_ + request_.total_timeout <= now)
    return fetch_error::total_timeout;
  return first_byte_at_ ? fetch_error::idle_timeout : fetch_error::first_byte_timeout;
}

fetch_error fetch_transfer::classify(int curl_code) const {
  if (verdict_ != fetch_error::none)
    return verdict_;
  switch (curl_code) {
    case CURLE_OK: return fetch_error::none;
    case CURLE_URL_MALFORMAT: return fetch_error::invalid_request;
    case CURLE_UNSUPPORTED_PROTOCOL:
      // libcurl's word for a URL of another scheme and for an answer that is not HTTP.
      return sent_at_ ? fetch_error::protocol : fetch_error::invalid_request;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return fetch_error::dns;
    case CURLE_COULDNT_CONNECT: return fetch_error::connect_failed;
    case CURLE_OPERATION_TIMEDOUT:
      // We set no other time-out of libcurl's than the one for connecting.
      return sent_at_ ? fetch_error::cut : fetch_error::connect_timeout;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return fetch_error::tls;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return answering_ ? fetch_error::cut : fetch_error::reset;
    case CURLE_BAD_CONTENT_ENCODING: return fetch_error::encoding;
    // A paused stream's decoded bytes that libcurl keeps are bounded (64 MiB): a bomb.
    case CURLE_OUT_OF_MEMORY:
      return request_.compressed && answering_ ? fetch_error::encoding : fetch_error::protocol;
    default: return fetch_error::protocol;
  }
}

std::string fetch_transfer::describe(int curl_code) const {
  if (verdict_ == fetch_error::too_large)
    return headers_done_
             ? "the answer's body is longer than " + std::to_string(request_.body_max) + " bytes"
             : "the answer's headers are longer than " + std::to_string(request_.header_max)
                 + " bytes";
  if (classify(curl_code) == fetch_error::encoding)
    return "the answer is compressed in a way that cannot be read";
  if (error_text_[0] != '\0')
    return error_text_.data();
  return curl_easy_strerror(static_cast<CURLcode>(curl_code));
}

fetch_result fetch_transfer::result_of(int curl_code) {
  const fetch_error error = classify(curl_code);
  return result_of(error, error == fetch_error::none ? std::string{} : describe(curl_code));
}

fetch_result fetch_transfer::result_of(fetch_error error, std::string detail) {
  fetch_result result;
  result.error = error;
  result.why = failure{to_errc(error), std::move(detail)};
  result.status = status_;
  result.body = std::move(body_);
  result.body_bytes = body_bytes_;
  fill(result);
  return result;
}

bool fetch_transfer::shun_connection(fetch_error error) {
  if (!sent_at_)
    return false;
  switch (error) {
    case fetch_error::reset:
    case fetch_error::first_byte_timeout:
    case fetch_error::idle_timeout:
    case fetch_error::total_timeout:
    case fetch_error::cut:
    case fetch_error::protocol: curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L); return true;
    // The others never had a connection, or the connection is not to blame.
    default: return false;
  }
}

void fetch_transfer::fill(fetch_result& result) const {
  fetch_timings& t = result.timings;
  t.total = since(accepted_at_, clock::now());
  if (headers_at_)
    t.headers = since(accepted_at_, *headers_at_);
  if (first_byte_at_)
    t.first_byte = since(accepted_at_, *first_byte_at_);
  if (easy_ == nullptr)
    return;
  if (sent_at_)
    t.queued = since(accepted_at_, *sent_at_);
  const auto micros = [this](CURLINFO which) {
    curl_off_t value = 0;
    curl_easy_getinfo(easy_, which, &value);
    return std::chrono::microseconds{value};
  };
  long opened = 0;
  curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &opened);
  counters_.connections_opened += static_cast<std::uint64_t>(std::max(opened, 0L));
  result.reused_connection = sent_at_ && opened == 0;
  if (result.reused_connection)
    ++counters_.connections_reused;
  else {
    t.dns = micros(CURLINFO_NAMELOOKUP_TIME_T);
    t.connect = micros(CURLINFO_CONNECT_TIME_T);
    t.tls = micros(CURLINFO_APPCONNECT_TIME_T);
  }
  long version = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  result.version = version == CURL_HTTP_VERSION_1_0   ? http_version::http_1_0
                   : version == CURL_HTTP_VERSION_1_1 ? http_version::http_1_1
                   : version == CURL_HTTP_VERSION_2_0 ? http_version::http_2
                                                      : http_version::unknown;
}

void fetch_transfer::finish(fetch_result result) {
  set_paused(false);
  if (std::exchange(waiting_, false))
    --counters_.queued;
  --counters_.active;
  ++(result.ok() ? counters_.completed : counters_.failed);
  handler_->on_done(std::move(result));
}

} // namespace skep::net
