#include "bench/replay.hpp"

#include "runtime/store/response_store.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numbers>
#include <random>

namespace skep::bench {

namespace {

/// In single quotes, for the shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text)
    c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

expected<std::string> unpack(const std::string& path) {
  auto* pipe = ::popen(("xz -dc -- " + quoted(path)).c_str(), "r");
  if (pipe == nullptr)
    return fail(errc::unavailable, "cannot start xz to unpack " + path + "; install xz-utils");
  std::string bytes;
  std::array<char, 65536> part{};
  while (const auto got = std::fread(part.data(), 1, part.size(), pipe))
    bytes.append(part.data(), got);
  if (::pclose(pipe) != 0)
    return fail(errc::malformed,
                "xz cannot unpack " + path + "; is xz-utils installed, and the file whole?");
  return bytes;
}

} // namespace

std::string trace_folder() {
  return std::string{SKEP_SOURCE_DIR} + "/bench/data/traces";
}

expected<trace> read_trace(const std::string& folder, std::string_view name) {
  const auto path = folder + "/" + std::string{name} + ".trace.xz";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    return fail(errc::not_found, "there is no file " + path + "; put the trace there");
  const auto bytes = unpack(path);
  if (!bytes)
    return tl::make_unexpected(bytes.error());
  if (bytes->empty() || bytes->size() % 4 != 0)
    return fail(errc::malformed, path + " is not a list of 4-byte keys; fetch it again");
  trace keys;
  keys.reserve(bytes->size() / 4);
  for (std::size_t n = 0; n < bytes->size(); n += 4) {
    std::uint32_t key = 0;
    for (std::size_t k = 0; k < 4; ++k)
      key = key << 8 | static_cast<std::uint8_t>((*bytes)[n + k]);
    keys.push_back(key);
  }
  return keys;
}

double store_hit_percent(std::span<const std::uint32_t> keys, store::policy_kind policy,
                         std::size_t entries_max) {
  constexpr time_point now{std::chrono::hours{1}};
  store::store_config config;
  config.bytes_max = std::size_t{1} << 40;
  config.entries_max = entries_max;
  config.policy = policy;
  store::response_store cache{config, now};
  for (const auto n : keys) {
    const store::key128 key{n * 0x9e37'79b9'7f4a'7c15ull, n};
    if (!cache.get(key, now))
      cache.put(key, "v", {1h}, now);
  }
  return 100.0 * static_cast<double>(cache.stats().hits) / static_cast<double>(keys.size());
}

priced_request priced(std::uint32_t key) {
  std::mt19937_64 random{key};
  const auto share = [&random] { return static_cast<double>(random() >> 11) * 0x1.0p-53; };
  // Box and Muller: a normal deviate of two uniform ones.
  const auto normal
    = std::sqrt(-2 * std::log(1 - share())) * std::cos(2 * std::numbers::pi * share());
  const auto bytes = std::clamp(800 * std::exp(normal), 64.0, 16'384.0);
  const auto model = share();
  const auto price = model < 0.6 ? 1.0 : model < 0.9 ? 5.0 : 25.0;
  const auto tokens = bytes / 4 + 100 + share() * 3900;
  return {{key * 0x9e37'79b9'7f4a'7c15ull, key},
          static_cast<std::size_t>(bytes),
          static_cast<std::uint64_t>(tokens * price)};
}

savings store_savings(std::span<const std::uint32_t> keys, store::policy_kind policy,
                      std::size_t bytes_max) {
  constexpr time_point now{std::chrono::hours{1}};
  store::store_config config;
  config.bytes_max = bytes_max;
  config.policy = policy;
  store::response_store cache{config, now};
  double saved = 0;
  double all = 0;
  for (const auto n : keys) {
    const auto asked = priced(n);
    const auto cost = static_cast<double>(asked.cost);
    all += cost;
    if (cache.get(asked.key, now))
      saved += cost;
    else
      cache.put(asked.key, std::string(asked.bytes, 'v'), {1h, {}, 0, 0, asked.cost}, now);
  }
  const auto hits = static_cast<double>(cache.stats().hits);
  return {100 * hits / static_cast<double>(keys.size()), 100 * saved / all};
}

} // namespace skep::bench
