#include "runtime/base/assert.hpp"
#include "runtime/cluster/etcd_membership.hpp"
#include "runtime/net/http_client.hpp"

#include <fmt/format.h>

#include <atomic>
#include <utility>

namespace skep::rt {

namespace {

using namespace std::chrono_literals;

/// Thousands of members fit; more is no answer of a cluster of ours.
constexpr std::size_t answer_bytes_max = std::size_t{8} << 20;
/// A watch is begun anew after this much silence, in case its connection died unseen.
constexpr std::chrono::milliseconds watch_silence_max = 60s;
constexpr std::chrono::milliseconds watch_lasts_max = 10min;
/// What one watch may bring: it is only looked at for being there, so it is granted at once.
constexpr std::int64_t watch_bytes_max = std::int64_t{64} << 20;
constexpr std::size_t error_text_max = 200;

/// Hands the end of a transfer to the link's thread.
class answer_handler : public net::fetch_handler {
public:
  answer_handler(task_poster post, std::function<void(net::fetch_result)> done)
    : post_(std::move(post)), done_(std::move(done)) {}

  void on_done(net::fetch_result result) noexcept override {
    post_(
      [done = std::move(done_), result = std::move(result)]() mutable { done(std::move(result)); });
  }

private:
  task_poster post_;
  std::function<void(net::fetch_result)> done_;
};

/// Tells the link's thread that a watch brought something; once for all that comes until that
/// thread has taken note.
class watch_handler : public answer_handler {
public:
  watch_handler(const task_poster& post, std::function<void()> news,
                std::function<void(net::fetch_result)> done)
    : answer_handler(post, std::move(done)), post_(post), news_(std::move(news)),
      told_(std::make_shared<std::atomic<bool>>(false)) {}

  void on_data(std::string_view) noexcept override {
    if (!told_->exchange(true))
      post_([news = news_, told = told_] {
        told->store(false);
        news();
      });
  }

private:
  task_poster post_;
  std::function<void()> news_;
  std::shared_ptr<std::atomic<bool>> told_;
};

class http_gateway : public etcd_gateway {
public:
  http_gateway(const etcd_membership_config& config, net::http_client& client, task_poster post)
    : endpoints_(config.endpoints), timeout_(config.request_timeout), client_(client),
      post_(std::move(post)) {
    SKEP_ASSERT(!endpoints_.empty());
  }
  ~http_gateway() override {
    if (watch_)
      client_.cancel(*watch_);
  }

  void call(std::string path, std::string body, answer done) override;
  void watch(std::string body, std::function<void()> news, std::function<void()> ended) override;

private:
  net::fetch_request request(const std::string& path, std::string body) const;
  expected<std::string> judge(net::fetch_result result, std::size_t endpoint);
  void start(net::fetch_request request, std::shared_ptr<net::fetch_handler> handler,
             const std::function<void(net::fetch_result)>& refused,
             std::optional<net::fetch_id>* id);
  /// Answers that come after our end find nobody.
  template <class F>
  auto while_alive(F f) {
    return [alive = std::weak_ptr<int>{alive_}, f = std::move(f)](auto&&... args) {
      if (!alive.expired())
        f(std::forward<decltype(args)>(args)...);
    };
  }

  std::vector<std::string> endpoints_;
  std::size_t current_ = 0;
  std::chrono::milliseconds timeout_;
  net::http_client& client_;
  task_poster post_;
  std::optional<net::fetch_id> watch_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

net::fetch_request http_gateway::request(const std::string& path, std::string body) const {
  net::fetch_request out;
  out.method = "POST";
  out.url = endpoints_[current_] + path;
  out.headers = {{"Content-Type", "application/json"}};
  out.body = std::move(body);
  out.connect_timeout = out.first_byte_timeout = out.idle_timeout = out.total_timeout = timeout_;
  out.body_max = answer_bytes_max;
  return out;
}

void http_gateway::start(net::fetch_request request, std::shared_ptr<net::fetch_handler> handler,
                         const std::function<void(net::fetch_result)>& refused,
                         std::optional<net::fetch_id>* id) {
  const auto started = client_.start(std::move(request), std::move(handler));
  if (started) {
    if (id != nullptr)
      *id = *started;
    return;
  }
  net::fetch_result none;
  none.error = net::fetch_error::invalid_request;
  none.why = started.error();
  post_([refused, none = std::move(none)] { refused(none); });
}

void http_gateway::call(std::string path, std::string body, answer done) {
  const auto finish
    = while_alive([this, endpoint = current_, done = std::move(done)](net::fetch_result result) {
        done(judge(std::move(result), endpoint));
      });
  auto handler = std::make_shared<answer_handler>(post_, finish);
  start(request(path, std::move(body)), std::move(handler), finish, nullptr);
}

void http_gateway::watch(std::string body, std::function<void()> news,
                         std::function<void()> ended) {
  const auto finish
    = while_alive([this, endpoint = current_, ended = std::move(ended)](net::fetch_result result) {
        watch_.reset();
        // Silence, and having lasted for long, are a watch's ordinary ends.
        if (!result.ok() && result.error != net::fetch_error::idle_timeout
            && result.error != net::fetch_error::total_timeout)
          judge(std::move(result), endpoint);
        ended();
      });
  auto wanted = request("/v3/watch", std::move(body));
  wanted.streaming = true;
  wanted.window_bytes = watch_bytes_max;
  wanted.idle_timeout = watch_silence_max;
  wanted.total_timeout = watch_lasts_max;
  auto handler = std::make_shared<watch_handler>(post_, while_alive(std::move(news)), finish);
  start(std::move(wanted), std::move(handler), finish, &watch_);
}

/// What an answer comes to; the next endpoint is tried after one that does not work.
expected<std::string> http_gateway::judge(net::fetch_result result, std::size_t endpoint) {
  if (result.ok() && result.status == 200)
    return std::move(result.body);
  if (endpoint == current_ && (!result.ok() || result.status >= 500)) {
    current_ = (current_ + 1) % endpoints_.size();
    // The watch goes with its endpoint: it may be silent because that one is.
    if (watch_)
      client_.cancel(*watch_);
  }
  if (!result.ok())
    return fail(errc::unavailable,
                fmt::format("{}: {}", endpoints_[endpoint], net::to_string(result.error)));
  return fail(errc::unavailable, fmt::format("{}: HTTP {} {}", endpoints_[endpoint], result.status,
                                             result.body.substr(0, error_text_max)));
}

} // namespace

std::unique_ptr<etcd_gateway> make_etcd_gateway(const etcd_membership_config& config,
                                                net::http_client& client, task_poster post) {
  return std::make_unique<http_gateway>(config, client, std::move(post));
}

std::unique_ptr<membership> make_etcd_membership(etcd_membership_config config,
                                                 net::http_client& client, task_poster post,
                                                 membership_events events) {
  auto gateway = make_etcd_gateway(config, client, std::move(post));
  return make_etcd_membership(std::move(config), std::move(gateway), std::move(events));
}

} // namespace skep::rt
