#pragma once

#include "runtime/net/http_client.hpp"

#include <string>

// What the commands that talk to a running node share.
namespace skep::cli {

/// "127.0.0.1:8080" and "http://127.0.0.1:8080/" as "http://127.0.0.1:8080".
std::string base_url(std::string given);

/// A name as part of a URL's query (RFC 3986: all but the unreserved characters as %XX).
std::string url_encoded(const std::string& text);

/// A request as commands send it: JSON, the key of SKEP_API_KEY if that is set, at most two seconds
/// to connect and five in all.
net::fetch_request command_request(std::string method, std::string url);

/// Sends one request and waits for its whole answer, for at most five seconds.
net::fetch_result ask(net::http_client& client, std::string method, std::string url);
/// The same with a request of one's own and its time-outs.
net::fetch_result ask(net::http_client& client, net::fetch_request request);

/// Why an answer is none, for people: the transport's failure, or the status with the message of
/// the API's error object when there is one.
std::string complaint_of(const net::fetch_result& result);

} // namespace skep::cli
