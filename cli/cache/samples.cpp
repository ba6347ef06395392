#include "cli/cache/samples.hpp"

#include "apis/openai/chat_json.hpp"
#include "messages/codec.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace skep::cli::cache {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t complaints_max = 5;
constexpr std::size_t held_back_every = 10;

void refuse(samples& into, const std::string& place, const std::string& why) {
  ++into.refused;
  if (into.complaints.size() < complaints_max)
    into.complaints.push_back(place + ": " + why);
}

/// False when the text is no answer.
bool add(samples& into, std::string_view text, std::uint64_t bytes_max) {
  const auto reply = actors::read_chat_reply(text);
  if (!reply || reply->choices.empty())
    return false;
  std::string encoded;
  encode(*reply, encoded);
  if (into.bytes + encoded.size() > bytes_max) {
    into.cut = true;
    return true;
  }
  into.bytes += encoded.size();
  into.answers.push_back(std::move(encoded));
  return true;
}

void read_file(samples& into, const fs::path& path, std::uint64_t bytes_max) {
  std::ifstream file{path, std::ios::binary};
  if (!file)
    return refuse(into, path.string(), "cannot be read");
  std::ostringstream whole;
  whole << file.rdbuf();
  const auto text = whole.str();
  // A file that is one answer may be spread over many lines.
  if (path.extension() != ".jsonl" && add(into, text, bytes_max))
    return;
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < text.size() && !into.cut;) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = std::string_view{text}.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos && !add(into, line, bytes_max))
      refuse(into, path.string() + ":" + std::to_string(number), "is no chat.completion");
  }
}

expected<std::vector<fs::path>> files_of(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error))
    return std::vector<fs::path>{path};
  std::vector<fs::path> files;
  auto walk = fs::recursive_directory_iterator{path, error};
  if (error)
    return fail(errc::not_found, path + ": " + error.message());
  for (const auto end = fs::recursive_directory_iterator{}; walk != end; walk.increment(error)) {
    if (error)
      break;
    const auto extension = walk->path().extension();
    if (walk->is_regular_file(error) && (extension == ".json" || extension == ".jsonl"))
      files.push_back(walk->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

} // namespace

expected<samples> read_samples(const std::vector<std::string>& paths, std::uint64_t bytes_max) {
  samples read;
  for (const auto& path : paths) {
    const auto files = files_of(path);
    if (!files)
      return fail(files.error());
    for (const auto& file : *files)
      if (!read.cut)
        read_file(read, file, bytes_max);
  }
  return read;
}

split_samples split(std::vector<std::string> answers) {
  split_samples made;
  for (std::size_t n = 0; n < answers.size(); ++n) {
    auto& part = n % held_back_every == held_back_every - 1 ? made.held_back : made.training;
    part.push_back(std::move(answers[n]));
  }
  return made;
}

} // namespace skep::cli::cache
