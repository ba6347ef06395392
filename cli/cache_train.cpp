#include "cli/cache/samples.hpp"
#include "cli/commands.hpp"
#include "runtime/store/dictionary.hpp"
#include "runtime/store/value_codec.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace skep::cli {

namespace {

/// Bytes before and after, of what the codec takes.
double ratio(const store::value_codec& codec, const std::vector<std::string>& values) {
  double before = 0;
  double after = 0;
  for (const auto& value : values) {
    const auto packed = codec.compress(value);
    before += static_cast<double>(value.size());
    after += static_cast<double>(packed ? packed->size() : value.size());
  }
  return after > 0 ? before / after : 1;
}

int complain(const failure& why) {
  fmt::print(stderr, "skep cache train: {}\n", why.detail);
  return exit_failed;
}

/// What a node would leave as it is, dictionary or not.
void warn_of_short(const std::vector<std::string>& values) {
  const auto bytes_min = store::codec_config{}.bytes_min;
  const auto is_short = [&](const std::string& value) { return value.size() < bytes_min; };
  const auto count = std::count_if(values.begin(), values.end(), is_short);
  if (count > 0)
    fmt::print("{} of these are below {} bytes, which nodes do not compress (cache "
               "compress_min_bytes)\n",
               count, bytes_min);
}

void print_ratios(const std::vector<std::string>& values, const std::string& dictionary) {
  const auto made = store::make_dictionary(dictionary);
  if (values.empty() || !made)
    return;
  const store::value_codec plain;
  const store::value_codec trained{{*made}};
  fmt::print("on {} answers held back: {:.2f}x with the dictionary, {:.2f}x without\n",
             values.size(), ratio(trained, values), ratio(plain, values));
  warn_of_short(values);
}

/// Whole or not at all: a node that starts meanwhile reads the old one.
bool write(const std::string& path, const std::string& content) {
  const auto next = path + ".new";
  std::ofstream file{next, std::ios::binary};
  file << content;
  file.close();
  std::error_code error;
  if (file)
    std::filesystem::rename(next, path, error);
  return file && !error;
}

} // namespace

int cache_train(const cache_train_options& options) {
  auto read = cache::read_samples(options.samples);
  if (!read)
    return complain(read.error());
  for (const auto& each : read->complaints)
    fmt::print(stderr, "skep cache train: {}\n", each);
  if (read->refused > read->complaints.size())
    fmt::print(stderr, "skep cache train: and {} more\n", read->refused - read->complaints.size());
  if (read->cut)
    fmt::print(stderr, "skep cache train: more than {} MiB of answers; the rest is left out\n",
               cache::samples_bytes_max >> 20);
  const auto total = read->answers.size();
  const auto parts = cache::split(std::move(read->answers));
  fmt::print(stderr, "training on {} of {} answers, {} bytes in all\n", parts.training.size(),
             total, read->bytes);
  const auto dictionary = store::train_dictionary(parts.training, options.bytes);
  if (!dictionary)
    return complain(dictionary.error());
  if (!write(options.out, *dictionary)) {
    fmt::print(stderr, "skep cache train: {} cannot be written\n", options.out);
    return exit_failed;
  }
  fmt::print("{}: {} bytes\n", options.out, dictionary->size());
  print_ratios(parts.held_back, *dictionary);
  fmt::print("to use it:\n\n[cache]\ndictionaries = [\"{}\"]\n", options.out);
  return exit_ok;
}

} // namespace skep::cli
