#pragma once

#include "runtime/base/expected.hpp"
#include "runtime/cluster/membership.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace skep::rt {

/// The ballot on disk: `<data_dir>/<node>.ballot`, one line of text with a check sum. A vote is
/// written to a file beside it, flushed, renamed over it, and the folder flushed: after a crash at
/// any moment there is the old number or the new one. Blocks for the disk; used on the link's
/// thread, a few times per change of the view. One process per file.
class ballot_file : public ballot_store {
public:
  /// Makes the folder when it is missing and reads the number; 0 when there is no file yet.
  /// errc::bad_config: the folder cannot be used, or the file is damaged; the text says what to do.
  static expected<std::unique_ptr<ballot_file>> open(const std::filesystem::path& data_dir,
                                                     const std::string& node);

  /// What open() read or save() wrote last.
  std::uint64_t load() override;
  bool save(std::uint64_t number) override;

private:
  ballot_file(std::filesystem::path path, std::uint64_t number);

  std::filesystem::path path_;
  std::uint64_t number_ = 0;
  bool failing_ = false; // Said in the log.
};

} // namespace skep::rt
