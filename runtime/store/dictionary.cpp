#include "runtime/store/dictionary.hpp"

#include <zdict.h>
#include <zstd.h>

#include <fstream>
#include <limits>

namespace skep::store {

namespace {

constexpr int level = 3;
// ZDICT gives up below; a dictionary from fewer samples would only repeat them.
constexpr std::size_t samples_min = 8;
// What is shorter teaches nothing; libzstd 1.5.4 crashes when the samples have a few bytes
// together.
constexpr std::size_t sample_bytes_min = 8;
constexpr std::size_t dictionary_bytes_min = 256;
constexpr std::size_t file_bytes_max = std::size_t{16} << 20;
constexpr char magic[] = "\x37\xa4\x30\xec";

} // namespace

expected<std::string> train_dictionary(const std::vector<std::string>& samples,
                                       std::size_t bytes_max) {
  if (bytes_max < dictionary_bytes_min)
    return fail(errc::bad_request,
                "a dictionary needs " + std::to_string(dictionary_bytes_min) + " bytes at least");
  std::string all;
  std::vector<std::size_t> sizes;
  for (const auto& each : samples) {
    if (each.size() < sample_bytes_min)
      continue;
    all += each;
    sizes.push_back(each.size());
  }
  if (sizes.size() < samples_min || all.size() < bytes_max)
    return fail(errc::bad_request,
                "too few samples: " + std::to_string(sizes.size()) + " of "
                  + std::to_string(all.size()) + " bytes together; a dictionary needs "
                  + std::to_string(samples_min) + " and as many bytes as it is to have at least, "
                  + "better a hundred times as many");
  if (all.size() > std::numeric_limits<std::uint32_t>::max())
    return fail(errc::bad_request, "the samples are over 4 GiB together; take fewer");
  std::string made(bytes_max, '\0');
  const auto size = ZDICT_trainFromBuffer(made.data(), made.size(), all.data(), sizes.data(),
                                          static_cast<unsigned>(sizes.size()));
  if (ZDICT_isError(size) != 0)
    return fail(
      errc::bad_request,
      std::string{"zstd cannot train a dictionary on these samples ("} + ZDICT_getErrorName(size)
        + "): take more of them, about a hundred times as many bytes as the dictionary is to "
        + "have, and no copies of one another");
  made.resize(size);
  return made;
}

expected<dictionary_ptr> make_dictionary(std::string_view content) {
  const std::string_view head{magic, 4};
  const auto id = content.size() > 8 && content.substr(0, 4) == head
                    ? ZDICT_getDictID(content.data(), content.size())
                    : 0;
  if (id == 0)
    return fail(errc::malformed, "these bytes are no zstd dictionary (no magic number, or no id); "
                                 "make one by training");
  std::shared_ptr<dictionary> made{new dictionary};
  made->id_ = id;
  made->compressing_ = ZSTD_createCDict(content.data(), content.size(), level);
  made->decompressing_ = ZSTD_createDDict(content.data(), content.size());
  if (made->compressing_ == nullptr || made->decompressing_ == nullptr)
    return fail(errc::malformed, "the zstd dictionary is damaged; train it again");
  return made;
}

expected<dictionary_ptr> load_dictionary(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::string content(file_bytes_max + 1, '\0');
  if (!file.read(content.data(), static_cast<std::streamsize>(content.size())) && !file.eof())
    return fail(errc::not_found, "cannot read the dictionary " + path);
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > file_bytes_max)
    return fail(errc::too_large, "the dictionary " + path + " is over 16 MiB");
  auto made = make_dictionary(content);
  if (!made)
    return fail(made.error().code, path + ": " + made.error().detail);
  return made;
}

dictionary::~dictionary() {
  ZSTD_freeCDict(compressing_);
  ZSTD_freeDDict(decompressing_);
}

std::size_t dictionary::bytes() const {
  return ZSTD_sizeof_CDict(compressing_) + ZSTD_sizeof_DDict(decompressing_);
}

} // namespace skep::store
