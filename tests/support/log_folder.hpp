#pragma once

#include "runtime/base/log.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace skep::test {

/// A folder of this test's own, gone afterwards; the log is shut down with it.
class log_folder {
public:
  log_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "skep-log-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error{"no temporary folder"};
    folder_ = pattern;
  }
  log_folder(const log_folder&) = delete;
  log_folder& operator=(const log_folder&) = delete;
  ~log_folder() {
    log::shutdown();
    std::filesystem::remove_all(folder_);
  }

  std::string file() const {
    return (folder_ / "log").string();
  }
  log::log_config config(bool json = false) const {
    log::log_config c;
    c.file = file();
    c.json = json;
    return c;
  }
  /// Ends the log and gives back its lines.
  std::vector<std::string> lines() const {
    log::shutdown();
    std::ifstream in{file()};
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);)
      all.push_back(line);
    return all;
  }

private:
  std::filesystem::path folder_;
};

} // namespace skep::test
