#include "runtime/net/link_keys.hpp"

#include <zmq.h>

#include <algorithm>
#include <array>
#include <vector>

namespace skep::net {

namespace {

constexpr std::size_t text_bytes = 40;
constexpr std::size_t binary_bytes = 32;
// RFC 27: version, request id, domain, address, identity, mechanism, credentials.
constexpr std::size_t request_parts = 7;
constexpr std::size_t request_parts_max = 16;

/// The 32 bytes of a key; empty when it is none.
std::string binary_key(const std::string& text) {
  std::array<std::uint8_t, binary_bytes> bytes{};
  if (text.size() != text_bytes || zmq_z85_decode(bytes.data(), text.c_str()) == nullptr)
    return {};
  return {bytes.begin(), bytes.end()};
}

/// All parts of the next message; empty when none waits.
std::vector<std::string> receive_parts(void* socket) {
  std::vector<std::string> parts;
  bool more = true;
  while (more) {
    zmq_msg_t part;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close(&part);
      return {};
    }
    if (parts.size() < request_parts_max)
      parts.emplace_back(static_cast<const char*>(zmq_msg_data(&part)), zmq_msg_size(&part));
    more = zmq_msg_more(&part) != 0;
    zmq_msg_close(&part);
  }
  return parts;
}

} // namespace

std::pair<std::string, std::string> make_link_keys() {
  std::array<char, text_bytes + 1> public_key{};
  std::array<char, text_bytes + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0)
    return {};
  return {public_key.data(), secret_key.data()};
}

expected<std::unique_ptr<zap_authenticator>> zap_authenticator::make(link_keys keys) {
  const auto bad = [](const std::string& what) {
    return fail(errc::bad_config, "link: " + what + "; `skep cluster keygen` writes keys");
  };
  if (zmq_has("curve") == 0)
    return bad("this libzmq was built without CURVE");
  if (binary_key(keys.public_key).empty())
    return bad("the public key is no key of 40 characters");
  if (binary_key(keys.secret_key).empty())
    return bad("the secret key is no key of 40 characters");
  std::array<char, text_bytes + 1> derived{};
  if (zmq_curve_public(derived.data(), keys.secret_key.c_str()) != 0
      || keys.public_key != derived.data())
    return bad("the public key does not belong to the secret key");
  std::unique_ptr<zap_authenticator> authenticator{new zap_authenticator{std::move(keys)}};
  for (const auto& [name, key] : authenticator->keys_.allowed) {
    const auto binary = binary_key(key);
    if (binary.empty())
      return bad("the key of node " + name + " is no key of 40 characters");
    if (const auto entry = authenticator->names_.emplace(binary, name); entry.first->second != name)
      return bad("nodes " + name + " and " + entry.first->second + " have the same key");
  }
  return authenticator;
}

zap_authenticator::~zap_authenticator() {
  if (socket_ != nullptr)
    zmq_close(socket_);
}

bool zap_authenticator::open(void* context) {
  socket_ = zmq_socket(context, ZMQ_REP);
  const int linger = 0;
  return socket_ != nullptr && zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger)) == 0
         && zmq_bind(socket_, "inproc://zeromq.zap.01") == 0;
}

void zap_authenticator::answer_all() {
  while (answer()) {
  }
}

bool zap_authenticator::answer() {
  const auto request = receive_parts(socket_);
  if (request.empty())
    return false;
  std::string name;
  if (request.size() == request_parts && request[0] == "1.0" && request[5] == "CURVE")
    if (const auto entry = names_.find(request[6]); entry != names_.end())
      name = entry->second;
  const std::string id = request.size() > 1 ? request[1] : std::string{};
  const std::array<std::string, 6> reply{
    "1.0", id, name.empty() ? "400" : "200", name.empty() ? "not on the list" : "OK", name, ""};
  for (std::size_t n = 0; n < reply.size(); ++n)
    zmq_send(socket_, reply[n].data(), reply[n].size(),
             ZMQ_DONTWAIT | (n + 1 < reply.size() ? ZMQ_SNDMORE : 0));
  return true;
}

bool zap_authenticator::guard(void* router) const {
  const int yes = 1;
  return zmq_setsockopt(router, ZMQ_CURVE_SERVER, &yes, sizeof(yes)) == 0
         && zmq_setsockopt(router, ZMQ_CURVE_SECRETKEY, keys_.secret_key.c_str(), text_bytes + 1)
              == 0;
}

expected<void> zap_authenticator::aim(void* dealer, const std::string& node) const {
  const auto known = std::find_if(keys_.allowed.begin(), keys_.allowed.end(),
                                  [&](const auto& each) { return each.first == node; });
  if (known == keys_.allowed.end())
    return fail(errc::bad_config, "link: there is no key for node " + node
                                    + "; add its public key to the list of those allowed");
  const auto set = [&](int option, const std::string& key) {
    return zmq_setsockopt(dealer, option, key.c_str(), text_bytes + 1) == 0;
  };
  if (!set(ZMQ_CURVE_SERVERKEY, known->second) || !set(ZMQ_CURVE_PUBLICKEY, keys_.public_key)
      || !set(ZMQ_CURVE_SECRETKEY, keys_.secret_key))
    return fail(errc::bad_config, "link: libzmq does not take the key of node " + node);
  return {};
}

} // namespace skep::net
