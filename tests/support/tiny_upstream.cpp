#include "tests/support/tiny_upstream.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <stdexcept>

namespace skep::testing {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

void check(bool ok, const char* what) {
  if (!ok)
    throw std::runtime_error(what);
}

SSL* ssl_of(void* tls) {
  return static_cast<SSL*>(tls);
}

/// Parses the head (without its empty line); the body is read by the caller.
upstream_request parse_head(std::string_view head) {
  upstream_request request;
  const auto first_end = head.find("\r\n");
  const std::string_view line = head.substr(0, first_end);
  const auto space = line.find(' ');
  const auto space2 = line.rfind(' ');
  request.method = line.substr(0, space);
  request.target = line.substr(space + 1, space2 - space - 1);
  while (head.find("\r\n") != std::string_view::npos) {
    head.remove_prefix(head.find("\r\n") + 2);
    const std::string_view field = head.substr(0, head.find("\r\n"));
    const auto colon = field.find(':');
    if (colon == std::string_view::npos)
      continue;
    std::string_view value = field.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    request.headers.emplace_back(lower(field.substr(0, colon)), value);
  }
  return request;
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned int in_size, void* wanted) {
  const auto& alpn = *static_cast<const std::string*>(wanted);
  for (unsigned int at = 0; at < in_size; at += 1u + in[at]) {
    const auto* name = in + at + 1;
    if (in[at] == alpn.size() && std::equal(alpn.begin(), alpn.end(), name)) {
      *out = name;
      *out_size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

} // namespace

std::string upstream_request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name)
      return value;
  return {};
}

upstream_connection::upstream_connection(int fd, std::size_t index, void* tls)
  : fd_(fd), index_(index), tls_context_(tls) {}

upstream_connection::~upstream_connection() {
  close();
}

void upstream_connection::close() {
  if (tls_ != nullptr) {
    if (fd_ >= 0)
      SSL_shutdown(ssl_of(tls_));
    SSL_free(ssl_of(tls_));
    tls_ = nullptr;
  }
  const std::lock_guard lock{closing_};
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

bool upstream_connection::wait_ready(short events, steady_clock::time_point until) const {
  const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
  pollfd p{fd_, events, 0};
  return left > 0 && ::poll(&p, 1, static_cast<int>(left)) > 0;
}

bool upstream_connection::handshake() {
  if (tls_context_ == nullptr || tls_ != nullptr)
    return true;
  tls_ = SSL_new(static_cast<SSL_CTX*>(tls_context_));
  SSL_set_fd(ssl_of(tls_), fd_);
  const auto until = steady_clock::now() + patience;
  for (;;) {
    const int rc = SSL_accept(ssl_of(tls_));
    if (rc == 1)
      return true;
    const int why = SSL_get_error(ssl_of(tls_), rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
      return false;
    if (!wait_ready(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until))
      return false;
  }
}

std::ptrdiff_t upstream_connection::receive(char* data, std::size_t size, milliseconds wait) {
  if (fd_ < 0 || !handshake())
    return 0;
  const auto until = steady_clock::now() + wait;
  for (;;) {
    if (tls_ == nullptr) {
      const ssize_t n = ::recv(fd_, data, size, MSG_DONTWAIT);
      if (n >= 0 || (errno != EAGAIN && errno != EINTR))
        return std::max<ssize_t>(n, 0);
    } else {
      const int n = SSL_read(ssl_of(tls_), data, static_cast<int>(size));
      if (n > 0)
        return n;
      if (SSL_get_error(ssl_of(tls_), n) != SSL_ERROR_WANT_READ)
        return 0;
    }
    if (!wait_ready(POLLIN, until))
      return -1;
  }
}

bool upstream_connection::send(std::string_view bytes, milliseconds wait) {
  if (fd_ < 0 || !handshake())
    return false;
  while (!bytes.empty()) {
    ssize_t n = -1;
    bool again = false;
    if (tls_ == nullptr) {
      n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      again = n < 0 && (errno == EAGAIN || errno == EINTR);
    } else {
      n = SSL_write(ssl_of(tls_), bytes.data(), static_cast<int>(bytes.size()));
      again = n <= 0 && SSL_get_error(ssl_of(tls_), static_cast<int>(n)) == SSL_ERROR_WANT_WRITE;
    }
    if (n > 0)
      bytes.remove_prefix(static_cast<std::size_t>(n));
    else if (!again || !wait_ready(POLLOUT, steady_clock::now() + wait))
      return false;
  }
  return true;
}

bool upstream_connection::fill() {
  std::array<char, 16384> chunk;
  const auto n = receive(chunk.data(), chunk.size(), patience);
  if (n > 0)
    buffer_.append(chunk.data(), static_cast<std::size_t>(n));
  return n > 0;
}

std::optional<std::string> upstream_connection::read_exactly(std::size_t n) {
  while (buffer_.size() < n)
    if (!fill())
      return std::nullopt;
  std::string out = buffer_.substr(0, n);
  buffer_.erase(0, n);
  return out;
}

std::optional<upstream_request> upstream_connection::read_request() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
    if (!fill())
      return std::nullopt;
  upstream_request request = parse_head(std::string_view{buffer_}.substr(0, end));
  buffer_.erase(0, end + 4);
  const std::string length = request.header("content-length");
  std::size_t n = 0;
  std::from_chars(length.data(), length.data() + length.size(), n);
  auto body = read_exactly(n);
  if (!body)
    return std::nullopt;
  request.body = std::move(*body);
  return request;
}

bool upstream_connection::reply(int status, std::string_view body, std::string_view more_headers) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " Status\r\n";
  out.append(more_headers);
  out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  out.append(body);
  return send(out);
}

bool upstream_connection::begin_chunks(std::string_view content_type) {
  std::string out = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: ";
  out.append(content_type);
  return send(out + "\r\n\r\n");
}

bool upstream_connection::send_chunk(std::string_view bytes, milliseconds wait) {
  std::array<char, 20> hex;
  const auto end = std::to_chars(hex.data(), hex.data() + hex.size(), bytes.size(), 16).ptr;
  std::string out(hex.data(), end);
  out += "\r\n";
  out.append(bytes);
  out += "\r\n";
  return send(out, wait);
}

bool upstream_connection::end_chunks() {
  return send("0\r\n\r\n");
}

bool upstream_connection::wait_closed(milliseconds wait) {
  const auto until = steady_clock::now() + wait;
  std::array<char, 4096> chunk;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
    const auto n = receive(chunk.data(), chunk.size(), std::max(left, milliseconds{0}));
    if (n <= 0)
      return n == 0;
  }
}

void upstream_connection::reset() {
  const linger hard{1, 0};
  const std::lock_guard lock{closing_};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(fd_);
  fd_ = -1;
}

void upstream_connection::abort() {
  const std::lock_guard lock{closing_};
  if (fd_ >= 0)
    ::shutdown(fd_, SHUT_RDWR);
}

tiny_upstream::tiny_upstream(script run) : script_(std::move(run)) {
  listen_on_free_port();
  acceptor_ = std::thread{[this] { accept_all(); }};
}

tiny_upstream::tiny_upstream(script run, std::string alpn)
  : script_(std::move(run)), alpn_(std::move(alpn)) {
  make_tls();
  listen_on_free_port();
  acceptor_ = std::thread{[this] { accept_all(); }};
}

tiny_upstream::~tiny_upstream() {
  stopping_ = true;
  ::shutdown(listen_fd_, SHUT_RDWR);
  acceptor_.join();
  ::close(listen_fd_);
  // The acceptor was the only one to add to these.
  for (auto& connection : connections_)
    connection->abort();
  for (auto& thread : threads_)
    thread.join();
  connections_.clear();
  SSL_CTX_free(static_cast<SSL_CTX*>(tls_context_));
}

tiny_upstream::script
tiny_upstream::each_request(std::function<void(upstream_connection&, upstream_request&)> answer) {
  return [answer = std::move(answer)](upstream_connection& connection) {
    while (auto request = connection.read_request())
      answer(connection, *request);
  };
}

std::string tiny_upstream::url(std::string_view path) const {
  std::string out = tls_context_ == nullptr ? "http" : "https";
  out += "://127.0.0.1:" + std::to_string(port_);
  return out.append(path);
}

void tiny_upstream::listen_on_free_port() {
  listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  check(::bind(listen_fd_, generic, size) == 0 && ::listen(listen_fd_, 1024) == 0
          && ::getsockname(listen_fd_, generic, &size) == 0,
        "tiny_upstream: cannot listen on 127.0.0.1");
  port_ = ntohs(address.sin_port);
}

void tiny_upstream::accept_all() {
  while (!stopping_) {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
      continue;
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections_.push_back(std::make_unique<upstream_connection>(fd, accepted_++, tls_context_));
    threads_.emplace_back([this, connection = connections_.back().get()] {
      // OpenSSL writes without MSG_NOSIGNAL.
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      try {
        script_(*connection);
      } catch (const std::exception&) {
        // The script gave up waiting; the client sees the connection close, and the test fails.
      }
      connection->close();
    });
  }
}

void tiny_upstream::make_tls() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  check(key != nullptr && certificate != nullptr, "tiny_upstream: no key");
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3'600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  const std::string common = "tiny upstream";
  std::vector<unsigned char> common_bytes(common.begin(), common.end());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_bytes.data(),
                             static_cast<int>(common_bytes.size()), -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* where
    = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, where, -1);
  X509_EXTENSION_free(where);
  check(X509_sign(certificate, key, EVP_sha256()) > 0, "tiny_upstream: cannot sign");

  BIO* pem = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(pem, certificate);
  std::array<char, 8192> text;
  const int n = BIO_read(pem, text.data(), static_cast<int>(text.size()));
  certificate_pem_.assign(text.data(), static_cast<std::size_t>(std::max(n, 0)));
  BIO_free(pem);

  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  tls_context_ = context;
  check(SSL_CTX_use_certificate(context, certificate) == 1
          && SSL_CTX_use_PrivateKey(context, key) == 1,
        "tiny_upstream: cannot use its certificate");
  SSL_CTX_set_alpn_select_cb(context, &select_alpn, &alpn_);
  // A half-sent record is sent on from wherever its bytes are by then.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

} // namespace skep::testing
