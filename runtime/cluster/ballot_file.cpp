#include "runtime/cluster/ballot_file.hpp"

#include "runtime/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace skep::rt {

namespace {

/// A damaged file may be of any size; ours has at most 52 bytes.
constexpr std::size_t file_bytes_max = 256;

std::string text_of(std::uint64_t number) {
  const auto head = fmt::format("skep-ballot 1 {}", number);
  return fmt::format("{} {:016x}\n", head, XXH3_64bits(head.data(), head.size()));
}

/// The number in a file's text; nothing when text_of() would not write exactly this.
std::optional<std::uint64_t> number_of(std::string_view text) {
  constexpr std::string_view head = "skep-ballot 1 ";
  if (!text.starts_with(head))
    return std::nullopt;
  std::uint64_t number = 0;
  const auto digits = text.substr(head.size());
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (read.ec != std::errc{} || text != text_of(number))
    return std::nullopt;
  return number;
}

/// Closes a file descriptor.
class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  int get() const {
    return fd_;
  }

private:
  int fd_;
};

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

/// Puts `text` at `path`; all of it or nothing, also when the machine loses power.
bool replace_file(const std::filesystem::path& path, std::string_view text) {
  const auto fresh = path.string() + ".new";
  {
    const descriptor file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (file.get() < 0 || !write_all(file.get(), text) || ::fsync(file.get()) != 0)
      return false;
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return false;
  const descriptor folder{::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return folder.get() >= 0 && ::fsync(folder.get()) == 0;
}

} // namespace

expected<std::unique_ptr<ballot_file>> ballot_file::open(const std::filesystem::path& data_dir,
                                                         const std::string& node) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error)
    return fail(errc::bad_config, fmt::format("the data folder {} cannot be made: {}",
                                              data_dir.string(), error.message()));
  const auto path = std::filesystem::absolute(data_dir, error) / (node + ".ballot");
  const bool there = std::filesystem::exists(path, error);
  if (error)
    return fail(errc::bad_config, fmt::format("the ballot file {} cannot be read: {}",
                                              path.string(), error.message()));
  if (!there)
    return std::unique_ptr<ballot_file>{new ballot_file{path, 0}};
  std::ifstream in{path, std::ios::binary};
  std::string text(file_bytes_max, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (const auto number = number_of(text))
    return std::unique_ptr<ballot_file>{new ballot_file{path, *number}};
  return fail(
    errc::bad_config,
    fmt::format("the ballot file {} is damaged or cannot be read; a seed that forgets its "
                "votes could vote twice. Restore it from a backup, or delete it while all "
                "other seeds are up and in one view",
                path.string()));
}

ballot_file::ballot_file(std::filesystem::path path, std::uint64_t number)
  : path_(std::move(path)), number_(number) {}

std::uint64_t ballot_file::load() {
  return number_;
}

bool ballot_file::save(std::uint64_t number) {
  if (!replace_file(path_, text_of(number))) {
    const std::error_code why{errno, std::generic_category()};
    if (!std::exchange(failing_, true))
      log::error("the ballot file {} cannot be written: {}", path_.string(), why.message());
    return false;
  }
  if (std::exchange(failing_, false))
    log::info("the ballot file {} is written again", path_.string());
  number_ = number;
  return true;
}

} // namespace skep::rt
