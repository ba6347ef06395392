#include "runtime/net/decompression.hpp"

#include "runtime/base/assert.hpp"
#include "runtime/net/http_message.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>

namespace skep::net {

namespace {

// What is unpacked in one step.
constexpr std::size_t step_bytes = 32 * 1024;

/// False, and nothing appended, when it does not fit.
bool append(std::string& into, std::string_view piece, std::size_t bytes_max) {
  if (piece.size() > bytes_max - std::min(into.size(), bytes_max))
    return false;
  into.append(piece);
  return true;
}

class gzip_unpacker final : public unpacker {
public:
  gzip_unpacker() {
    constexpr int gzip_window = 15 + 16; // The largest window; 16 asks for gzip's frame.
    if (inflateInit2(&state_, gzip_window) != Z_OK)
      throw std::bad_alloc{};
  }
  gzip_unpacker(const gzip_unpacker&) = delete;
  gzip_unpacker& operator=(const gzip_unpacker&) = delete;
  ~gzip_unpacker() override {
    inflateEnd(&state_);
  }

  outcome feed(std::string_view packed, std::string& into, std::size_t bytes_max) override {
    while (!packed.empty()) {
      const auto part
        = packed.substr(0, std::min<std::size_t>(packed.size(), std::numeric_limits<uInt>::max()));
      // zlib's interface lacks the const; it only reads.
      state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
      state_.avail_in = static_cast<uInt>(part.size());
      if (const auto done = inflate_input(into, bytes_max); done != outcome::taken)
        return done;
      packed.remove_prefix(part.size());
    }
    return outcome::taken;
  }
  [[nodiscard]] bool is_whole() const override {
    return whole_;
  }
  [[nodiscard]] std::size_t memory_bytes() const override {
    return 40 * 1024; // zlib's own figure for the largest window: 32 KiB and about 7 KiB of state.
  }

private:
  outcome inflate_input(std::string& into, std::size_t bytes_max) {
    std::array<char, step_bytes> out;
    for (bool more = true; more;) {
      if (whole_ && state_.avail_in > 0) {
        inflateReset(&state_); // Another member.
        whole_ = false;
      }
      state_.next_out = reinterpret_cast<Bytef*>(out.data());
      state_.avail_out = static_cast<uInt>(out.size());
      const int done = inflate(&state_, Z_NO_FLUSH);
      // Z_BUF_ERROR: there was nothing to do.
      if (done != Z_OK && done != Z_STREAM_END && done != Z_BUF_ERROR)
        return outcome::malformed;
      whole_ = done == Z_STREAM_END;
      if (!append(into, {out.data(), out.size() - state_.avail_out}, bytes_max))
        return outcome::too_large;
      more = state_.avail_in > 0 || (!whole_ && state_.avail_out == 0);
    }
    return outcome::taken;
  }

  z_stream state_{};
  bool whole_ = false;
};

class zstd_unpacker final : public unpacker {
public:
  zstd_unpacker() : state_(ZSTD_createDStream(), ZSTD_freeDStream) {
    // RFC 9659: a window of a content coding has 8 MiB at most.
    constexpr int window_log_max = 23;
    if (!state_
        || ZSTD_isError(ZSTD_DCtx_setParameter(state_.get(), ZSTD_d_windowLogMax, window_log_max))
             != 0)
      throw std::bad_alloc{};
  }

  outcome feed(std::string_view packed, std::string& into, std::size_t bytes_max) override {
    std::array<char, step_bytes> out;
    ZSTD_inBuffer input{packed.data(), packed.size(), 0};
    for (bool more = !packed.empty(); more;) {
      ZSTD_outBuffer output{out.data(), out.size(), 0};
      const auto left = ZSTD_decompressStream(state_.get(), &output, &input);
      if (ZSTD_isError(left) != 0)
        return outcome::malformed;
      whole_ = left == 0;
      if (!append(into, {out.data(), output.pos}, bytes_max))
        return outcome::too_large;
      more = input.pos < input.size || (!whole_ && output.pos == output.size);
    }
    return outcome::taken;
  }
  [[nodiscard]] bool is_whole() const override {
    return whole_;
  }
  [[nodiscard]] std::size_t memory_bytes() const override {
    return ZSTD_sizeof_DStream(state_.get());
  }

private:
  std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> state_;
  bool whole_ = false;
};

} // namespace

std::optional<content_coding> read_coding(std::string_view content_encoding) {
  if (content_encoding.empty() || equal_ignoring_case(content_encoding, "identity"))
    return content_coding::identity;
  if (equal_ignoring_case(content_encoding, "gzip")
      || equal_ignoring_case(content_encoding, "x-gzip"))
    return content_coding::gzip;
  if (equal_ignoring_case(content_encoding, "zstd"))
    return content_coding::zstd;
  return std::nullopt;
}

std::unique_ptr<unpacker> make_unpacker(content_coding coding) {
  SKEP_ASSERT(coding != content_coding::identity);
  if (coding == content_coding::gzip)
    return std::make_unique<gzip_unpacker>();
  return std::make_unique<zstd_unpacker>();
}

} // namespace skep::net
