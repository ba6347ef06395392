#pragma once

#include "runtime/base/clock.hpp"
#include "runtime/io/redis_types.hpp"
#include "runtime/testing/test_system.hpp"

#include <fnmatch.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace skep::test {

inline io::redis_reply reply_of(io::redis_reply::kind what, std::string text = {},
                                std::int64_t integer = 0) {
  io::redis_reply reply;
  reply.what = what;
  reply.text = std::move(text);
  reply.integer = integer;
  return reply;
}

/// Redis in a map, on the test's clock: what the level needs of it. Answers wait until deliver().
class fake_redis : public io::redis_commands {
public:
  struct value {
    std::string bytes;
    time_point until;
  };
  struct pending {
    io::redis_callback done;
    std::vector<io::redis_args> batch;
    duration timeout;
  };

  explicit fake_redis(const rt::test_system& sys) : sys_(sys) {}

  expected<void> submit_all(std::vector<io::redis_args> batch, duration timeout,
                            io::redis_callback done) override {
    if (refuses.code != errc::none)
      return fail(refuses);
    waiting.push_back({std::move(done), std::move(batch), timeout});
    return {};
  }
  /// Executes and answers the oldest batch.
  void deliver() {
    auto next = std::move(waiting.front());
    waiting.pop_front();
    if (fails.code != errc::none)
      return next.done(fail(fails));
    std::vector<io::redis_reply> replies;
    for (const auto& command : next.batch)
      replies.push_back(overrides.contains(command[0]) ? overrides.at(command[0])
                                                       : execute(command));
    next.done(std::move(replies));
  }

  std::map<std::string, value> values;
  std::deque<pending> waiting;
  /// Instead of what the map says.
  std::map<std::string, io::redis_reply> overrides;
  failure refuses;
  failure fails;
  std::vector<std::string> log;
  std::size_t page = 2;

private:
  io::redis_reply execute(const io::redis_args& command) {
    log.push_back(command[0]);
    using kind = io::redis_reply::kind;
    const auto entry = command.size() > 1 ? values.find(command[1]) : values.end();
    const bool there = entry != values.end() && entry->second.until > sys_.now();
    if (command[0] == "GET")
      return there ? reply_of(kind::bulk, entry->second.bytes) : reply_of(kind::nil);
    if (command[0] == "PTTL")
      return reply_of(kind::integer, {},
                      there ? std::chrono::duration_cast<std::chrono::milliseconds>(
                                entry->second.until - sys_.now())
                                .count()
                            : -2);
    if (command[0] == "SET") {
      values[command[1]]
        = {command[2], sys_.now() + std::chrono::milliseconds{std::stoll(command[4])}};
      return reply_of(kind::status, "OK");
    }
    if (command[0] == "UNLINK") {
      std::int64_t gone = 0;
      for (std::size_t n = 1; n < command.size(); ++n)
        gone += static_cast<std::int64_t>(values.erase(command[n]));
      return reply_of(kind::integer, {}, gone);
    }
    return scan(command);
  }

  /// The cursor is the last key looked at, which keeps Redis' promise: what stays is seen.
  io::redis_reply scan(const io::redis_args& command) {
    using kind = io::redis_reply::kind;
    auto at = command[1] == "0" ? values.begin() : values.upper_bound(command[1]);
    io::redis_reply keys = reply_of(kind::array);
    std::string cursor = "0";
    for (std::size_t seen = 0; at != values.end(); ++at) {
      if (::fnmatch(command[3].c_str(), at->first.c_str(), 0) == 0)
        keys.elements.push_back(reply_of(kind::bulk, at->first));
      if (++seen == page) {
        cursor = std::next(at) == values.end() ? "0" : at->first;
        break;
      }
    }
    auto reply = reply_of(kind::array);
    reply.elements = {reply_of(kind::bulk, cursor), keys};
    return reply;
  }

  const rt::test_system& sys_;
};

} // namespace skep::test
