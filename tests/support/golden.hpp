#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace skep::test {

/// SKEP_UPDATE_GOLDEN=1 writes what the code produces instead of comparing with it.
inline bool updates_golden() {
  const char* asked = std::getenv("SKEP_UPDATE_GOLDEN");
  return asked != nullptr && std::string_view{asked} == "1";
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

inline void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream{path, std::ios::binary} << text;
}

inline std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const auto byte : bytes) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    hex += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15];
  }
  return hex;
}

inline std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t n = 0; n + 1 < hex.size(); n += 2)
    bytes += static_cast<char>(std::stoi(std::string{hex.substr(n, 2)}, nullptr, 16));
  return bytes;
}

} // namespace skep::test
