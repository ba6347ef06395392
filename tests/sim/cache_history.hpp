#pragma once

// What a cache may answer, told from what was done to it: every put writes a value of its own, so
// that each answer names the put it comes from (the idea of CacheLib's ValueTracker).
#include "messages/cache.hpp"
#include "runtime/base/clock.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace skep::test {

/// The history of a cluster's cache. What it holds the cache to:
///
/// Always, whatever nodes and links do:
/// 1. An answer is a value that was put under its key, with the put's kind and group.
/// 2. It is not served as fresh after its freshness, nor at all after its stale time. Freshness
///    begins when the put arrives, at most `transit` after it was sent; an entry handed over to
///    another owner does not age on its way there, so each view may add as much once more.
/// 3. The age told is not less than the true one by more than the roundings on the way.
/// 4. No two leases have the same id.
///
/// When no node or link was disturbed meanwhile, which is what `calm` means:
/// 5. What a clear covered is not served by gets that begin after the clear was acknowledged, if
///    its put had arrived before the clear began. Calm from the clear's beginning to its end
///    suffices: what happens later brings nothing back.
/// 6. A value is not served when another one was put after it had arrived, and had itself arrived
///    `near_ttl` and `transit` before the get (before it at all, for a get at the later one's
///    node): if the later one is still fresh. Otherwise puts are tells: one lost or overtaken on
///    the way leaves the older value until that ends; and so may a previous owner answer with an
///    older one when the present ones do not answer in time, or are cleared before it is.
/// 7. Per key there is one lease at a time, where one node decides: until it is over, given back or
///    reported lost, or a value came.
class cache_history {
public:
  struct bounds {
    duration stale{};
    /// The longest a message is on its way, a request with its answer, too.
    duration transit = 1s;
    duration near_ttl{};
    /// Freshness may end by this share earlier.
    double jitter = 0;
    /// Keys have one owner and no second level, so that (7) holds.
    bool one_owner = false;
    /// How long after a disturbance entries may still come from elsewhere.
    duration unrest{};
    /// How long a node is waited for before another one is asked.
    duration ask_timeout = 100ms;
  };

  explicit cache_history(bounds rules) : rules_(rules) {}

  struct facts {
    std::uint64_t key = 0;
    std::uint64_t group = 0;
    std::uint8_t kind = 0;
    duration ttl{};
  };
  struct asked {
    std::uint64_t key = 0;
    std::string node;
    std::uint32_t lease_ms = 0;
    time_point begun{};
  };

  /// A put is sent from a node; the value it must write. `ttl` above zero.
  std::string put(const facts& of, const std::string& node, time_point now);
  /// All messages sent until now have arrived.
  void settled(time_point now);
  /// A node or a link fails, comes back or hears of another view. Calm begins anew.
  void disturbed(time_point now);
  /// There is another view.
  void moved() {
    ++moves_;
  }

  /// A clear of a key, of a group (not 0) or of all begins; its number.
  std::size_t clear_key(std::uint64_t key, time_point now);
  std::size_t clear_group(std::uint64_t group, time_point now);
  std::size_t clear_all(time_point now);
  void cleared(std::size_t number, time_point now);

  /// A lease is given back, or reported lost.
  void ended(std::uint64_t key, std::uint64_t lease);

  /// What is wrong with the answer to a get; nothing when it is explained.
  std::string answered(const asked& get, const msg::cache_get_reply& reply, time_point now);

private:
  struct written : facts {
    std::string node;
    time_point sent{};
    std::uint32_t moves = 0; // Before it.
    std::optional<time_point> arrived;
  };
  struct clearing {
    std::optional<std::uint64_t> key;
    std::uint64_t group = 0; // With neither, all.
    time_point begun{};
    std::optional<time_point> acked;
    bool calm = false;
  };
  struct grant {
    std::uint64_t id = 0;
    time_point asked{};
    time_point over{};
    bool ended = false;
  };

  std::size_t clear(clearing what);
  const written* find(std::uint64_t key, const std::string& value) const;
  static bool covers(const clearing& c, const written& w);
  duration on_the_way(const written& w) const;
  std::string check_times(const written& w, time_point begun,
                          const msg::cache_get_reply& reply) const;
  std::string check_cleared(const written& w, time_point begun) const;
  std::string check_newest(const written& w, const asked& get, time_point now) const;
  std::string check_lease(const asked& get, std::uint64_t id, time_point now);
  bool may_have_ended(std::uint64_t key, const grant& g, time_point now) const;

  const bounds rules_;
  time_point calm_since_{};
  std::uint32_t moves_ = 0;
  std::vector<written> puts_; // The n-th put's value ends with "/n".
  std::map<std::uint64_t, std::vector<std::size_t>> of_key_;
  std::vector<clearing> clears_;
  std::map<std::uint64_t, std::vector<grant>> grants_;
  std::set<std::uint64_t> ids_;
};

} // namespace skep::test
