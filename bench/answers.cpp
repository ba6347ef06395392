#include "bench/answers.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <unordered_set>

namespace skep::bench {

namespace {

/// Adds the sentences of a file; code blocks, headings and tables of Markdown are none.
void add_sentences(const std::filesystem::path& path, std::unordered_set<std::string>& known,
                   std::vector<std::string>& sentences) {
  std::ifstream file{path};
  std::string line;
  std::string sentence;
  bool code = false;
  const auto end_sentence = [&] {
    if (sentence.size() > 20 && known.insert(sentence).second)
      sentences.push_back(sentence);
    sentence.clear();
  };
  while (std::getline(file, line)) {
    code = line.starts_with("```") ? !code : code;
    if (code || line.empty() || line.front() == '#' || line.front() == '|' || line.front() == '`') {
      end_sentence();
      continue;
    }
    for (std::size_t n = 0; n <= line.size(); ++n) {
      const char c = n < line.size() ? line[n] : ' ';
      if (c == ' ' && !sentence.empty() && sentence.back() == '.')
        end_sentence();
      else if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= ' '
               && (c != ' ' || (!sentence.empty() && sentence.back() != ' ')))
        sentence += c;
    }
  }
  end_sentence();
}

std::string name_of(std::mt19937_64& random, std::size_t characters) {
  static constexpr char alphabet[]
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string name;
  for (std::size_t n = 0; n < characters; ++n)
    name += alphabet[random() % (sizeof(alphabet) - 1)];
  return name;
}

std::string answer(const std::string& content, std::mt19937_64& random) {
  static constexpr const char* models[]
    = {"gpt-4.1-2025-04-14", "gpt-4.1-mini-2025-04-14", "gpt-4o-2024-08-06"};
  static constexpr const char* prints[] = {"fp_44added55e", "fp_7c16b00051", "fp_07871e2ad8"};
  const auto model = random() % 3;
  const auto prompt = 20 + random() % 2000;
  const auto completion = content.size() / 4;
  return R"({"id":"chatcmpl-)" + name_of(random, 29) + R"(","object":"chat.completion",)"
         + R"("created":)" + std::to_string(1'740'000'000 + random() % 10'000'000) + R"(,"model":")"
         + models[model] + R"(","choices":[{"index":0,"message":{"role":"assistant","content":")"
         + content
         + R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],)"
         + R"("usage":{"prompt_tokens":)" + std::to_string(prompt) + R"(,"completion_tokens":)"
         + std::to_string(completion) + R"(,"total_tokens":)" + std::to_string(prompt + completion)
         + R"(,"prompt_tokens_details":{"cached_tokens":)"
         + std::to_string(random() % 4 == 0 ? prompt / 128 * 128 : 0)
         + R"(,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,)"
         + R"("audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},)"
         + R"("service_tier":"default","system_fingerprint":")" + prints[model] + R"("})";
}

} // namespace

expected<std::vector<std::string>> read_sentences(const std::string& path) {
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  if (std::filesystem::is_directory(path, failed)) {
    for (const auto& each : std::filesystem::recursive_directory_iterator{path, failed})
      if (each.path().extension() == ".md")
        files.push_back(each.path());
    std::sort(files.begin(), files.end());
  } else {
    files.emplace_back(path);
  }
  std::vector<std::string> sentences;
  std::unordered_set<std::string> known;
  for (const auto& each : files)
    add_sentences(each, known, sentences);
  if (sentences.empty())
    return fail(errc::not_found, "there is no text in " + path);
  return sentences;
}

std::vector<std::string> make_answers(const std::vector<std::string>& sentences,
                                      std::size_t bytes_min, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::vector<std::string> answers;
  std::string content;
  for (const auto& each : sentences) {
    content += (content.empty() ? "" : " ") + each;
    if (content.size() < bytes_min)
      continue;
    answers.push_back(answer(content, random));
    content.clear();
  }
  return answers;
}

} // namespace skep::bench
