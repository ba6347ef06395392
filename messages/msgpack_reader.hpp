#pragma once

#include "messages/envelope.hpp"
#include "messages/failure.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace skep {

/// Pulls msgpack values out of bytes nobody vouches for. It allocates nothing, checks every length
/// against what is left before it is believed, and remembers the first thing that was wrong; after
/// that every read fails. One thread.
class msgpack_reader {
public:
  msgpack_reader(std::string_view bytes, const decode_limits& limits);

  /// The next value as this type; nothing, and a failure, when it is something else.
  std::optional<std::uint32_t> array();
  std::optional<std::uint32_t> map();
  std::optional<std::string_view> text();
  std::optional<std::string_view> binary();
  std::optional<bool> boolean();
  std::optional<std::uint64_t> unsigned_integer();
  std::optional<std::int64_t> signed_integer();
  std::optional<double> real();
  /// True, and taken, when the next value is nil.
  bool nil();
  /// Takes the next value, whatever it is.
  bool skip();

  /// Enters and leaves a container; false beyond the depth limit.
  bool enter();
  void leave() {
    --depth_;
  }

  bool at_end() const {
    return position_ == bytes_.size();
  }
  bool failed() const {
    return why_.code != errc::none;
  }
  /// What went wrong first.
  const failure& why() const {
    return why_;
  }
  /// Adds the place to a failure that has none yet: names are put in front, innermost first.
  void located(std::string_view place);
  std::nullopt_t fail(errc code, std::string detail);

private:
  struct head {
    std::uint8_t kind = 0;
    std::uint64_t value = 0;
  };

  std::optional<std::uint8_t> fixed(std::uint8_t form, std::uint8_t mask);
  std::optional<head> read_head(const char* wanted);
  std::optional<std::uint64_t> big_endian(std::size_t count);
  std::optional<std::string_view> take(std::uint64_t count);
  std::optional<std::uint32_t> counted(const head& found, std::uint64_t bytes_each);

  std::string_view bytes_;
  const decode_limits& limits_;
  std::size_t position_ = 0;
  std::size_t depth_ = 0;
  failure why_;
  bool placed_ = false;
};

} // namespace skep
