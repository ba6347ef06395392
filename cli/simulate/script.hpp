#pragma once

#include "cli/simulate/model.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/net/http_message.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

// An answer as bytes with their times, before anything is sent; pure.
namespace skep::cli::simulate {

/// How an answer ends: well, by breaking the connection, or not at all.
enum class finale : std::uint8_t { end, abort, hold };

/// Bytes that leave once so many tokens were said.
struct piece {
  std::string bytes;
  std::uint64_t tokens = 0;
};

/// One answer.
struct script {
  int status = 200;
  net::http_headers headers;
  std::vector<piece> pieces;
  /// Sent piece by piece, without a length; else as one body with its length.
  bool streamed = false;
  finale end = finale::end;
  /// Above zero: one byte at a time, this far apart.
  std::chrono::milliseconds trickle{0};
  /// Not even a head is sent.
  bool headless = false;
  /// Until its first byte; errors come at once.
  duration delay{};
};

/// An answer in either dialect, whole or as events.
script script_of(dialect spoken, const model_call& call, const model_answer& answer);

/// An error as the API words it. `retry_after` zero: it says nothing about that.
struct error_text {
  int status = 500;
  std::string message;
  /// `error.type`.
  std::string type;
  /// OpenAI's `error.code`; empty: null.
  std::string code;
  std::string param;
};
script error_script(dialect spoken, const error_text& error);
/// The event that tells of an error in the middle of a stream.
std::string error_event(dialect spoken, const error_text& error);

/// What becomes of a good answer under a misfortune. huge_chunk is left to who makes the answer.
script with_fault(dialect spoken, const std::string& model, script good, const misfortune& fate,
                  const upstream_config& config);
/// What one hears who finds all places and the queue taken.
script overload_script(dialect spoken);

/// A body of JSON that is complete.
script json_script(int status, std::string body);

/// "chatcmpl-simulated-7", "msg_simulated_7".
std::string id_of(dialect spoken, std::uint64_t number);

} // namespace skep::cli::simulate
