#pragma once

// The parties of bench/wire_bench.cpp besides skep, and what all of them agree on.
#include "bench/measure.hpp"

#include <unistd.h>

#include <string>

namespace skep::bench {

// Messages between two questions "have you got them?", and questions under way.
inline constexpr int burst = 1000;
inline constexpr int bursts_ahead = 8;

/// How much is sent for one figure.
inline int bursts_for(std::size_t size) {
  return size <= 1024 ? 1000 : 40;
}
inline constexpr int round_trips = 5000;

inline double per_second(std::size_t count, bench_clock::time_point start) {
  return static_cast<double>(count) / (ns_since(start) / 1e9);
}

inline void wait_for_end() {
  char none = 0;
  while (read(STDIN_FILENO, &none, 1) > 0) {
    // The parent closes the pipe when it is done.
  }
}

/// Serves through CAF's own BASP until the input ends; prints the port.
void serve_basp();
/// Messages a second, or with no bursts microseconds of a round trip. Prints the figure itself and
/// ends the process: BASP's threads cannot be stopped in good order with sockets open.
double send_basp(const std::string& address, int bursts, std::size_t size);

/// The same with ZeroMQ's PUSH and PULL, REQ and REP.
void serve_zmq();
double send_zmq(const std::string& address, int bursts, std::size_t size);

/// A stranger who sends what is no frame, as fast as the socket takes it, until its input ends.
void flood(const std::string& address);

} // namespace skep::bench
