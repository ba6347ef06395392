#include "runtime/store/value_codec.hpp"

#include <zstd.h>

#include <algorithm>
#include <utility>

namespace skep::store {

namespace {

constexpr int level = 3;
constexpr char raw_form = 'r';
constexpr char zstd_form = 'z';

struct freeing {
  void operator()(ZSTD_CCtx* gone) const noexcept {
    ZSTD_freeCCtx(gone);
  }
  void operator()(ZSTD_DCtx* gone) const noexcept {
    ZSTD_freeDCtx(gone);
  }
};

} // namespace

struct value_codec::contexts {
  std::vector<dictionary_ptr> dictionaries;
  codec_config config;
  codec_stats stats;
  std::unique_ptr<ZSTD_CCtx, freeing> compressing{ZSTD_createCCtx()};
  std::unique_ptr<ZSTD_DCtx, freeing> decompressing{ZSTD_createDCtx()};
  /// Frames are made here first, so that a value is allocated once, in its size.
  std::string scratch;

  /// Null for a frame without a dictionary; nothing when it is not listed.
  std::optional<const dictionary*> dictionary_of(std::string_view frame) const {
    const auto id = ZSTD_getDictID_fromFrame(frame.data(), frame.size());
    if (id == 0)
      return nullptr;
    for (const auto& each : dictionaries)
      if (each->id() == id)
        return each.get();
    return std::nullopt;
  }

  std::size_t compress(std::string_view value) {
    // zstd is faster into its bound than into the little that would be worth it.
    scratch.resize(ZSTD_compressBound(value.size()));
    return ZSTD_compress2(compressing.get(), scratch.data(), scratch.size(), value.data(),
                          value.size());
  }

  expected<std::string> decompress(std::string_view frame, std::size_t bytes_max) const {
    const auto size = ZSTD_getFrameContentSize(frame.data(), frame.size());
    // Nothing is ever compressed to an empty value.
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size == 0)
      return fail(errc::malformed, "a compressed value is damaged");
    if (size > bytes_max)
      return fail(errc::too_large,
                  "a compressed value has over " + std::to_string(bytes_max) + " bytes");
    const auto made_with = dictionary_of(frame);
    if (!made_with)
      return fail(errc::not_found, "a value was compressed with a dictionary that is not listed; "
                                   "keep old dictionaries in the list until their values are gone");
    std::string value(size, '\0');
    const auto got
      = *made_with == nullptr
          ? ZSTD_decompressDCtx(decompressing.get(), value.data(), value.size(), frame.data(),
                                frame.size())
          : ZSTD_decompress_usingDDict(decompressing.get(), value.data(), value.size(),
                                       frame.data(), frame.size(), (*made_with)->decompressing());
    if (ZSTD_isError(got) != 0 || got != value.size())
      return fail(errc::malformed, "a compressed value is damaged");
    return value;
  }
};

value_codec::value_codec(std::vector<dictionary_ptr> dictionaries, codec_config config)
  : contexts_(std::make_unique<contexts>()) {
  contexts_->dictionaries = std::move(dictionaries);
  contexts_->config = config;
  auto* to = contexts_->compressing.get();
  ZSTD_CCtx_setParameter(to, ZSTD_c_compressionLevel, level);
  // A damaged value must not look like a whole one.
  ZSTD_CCtx_setParameter(to, ZSTD_c_checksumFlag, 1);
  if (!contexts_->dictionaries.empty())
    ZSTD_CCtx_refCDict(to, contexts_->dictionaries.front()->compressing());
}

value_codec::~value_codec() = default;

std::optional<std::string> value_codec::compress(std::string_view value) const {
  auto& stats = contexts_->stats;
  if (value.size() >= std::max<std::size_t>(contexts_->config.bytes_min, 1)) {
    const auto size = contexts_->compress(value);
    const auto worth = static_cast<double>(value.size()) * (1 - contexts_->config.gain_min);
    if (ZSTD_isError(size) == 0 && static_cast<double>(size) <= worth) {
      ++stats.compressed;
      stats.bytes_in += value.size();
      stats.bytes_out += size;
      return contexts_->scratch.substr(0, size);
    }
  }
  ++stats.kept_raw;
  return std::nullopt;
}

expected<std::string> value_codec::decompress(std::string_view frame, std::size_t bytes_max) const {
  auto value = contexts_->decompress(frame, bytes_max);
  if (!value)
    ++contexts_->stats.unreadable;
  return value;
}

std::string value_codec::pack(std::string_view value) const {
  const auto frame = compress(value);
  std::string packed;
  packed.reserve(1 + (frame ? frame->size() : value.size()));
  packed += frame ? zstd_form : raw_form;
  packed += frame ? std::string_view{*frame} : value;
  return packed;
}

expected<std::string> value_codec::unpack(std::string_view packed, std::size_t bytes_max) const {
  if (!packed.empty() && packed.front() == zstd_form)
    return decompress(packed.substr(1), bytes_max);
  if (packed.empty() || packed.front() != raw_form || packed.size() - 1 > bytes_max) {
    ++contexts_->stats.unreadable;
    return packed.size() > bytes_max
             ? fail(errc::too_large, "a value has over " + std::to_string(bytes_max) + " bytes")
             : fail(errc::malformed, "a value is in a form that is not known");
  }
  return std::string{packed.substr(1)};
}

codec_stats value_codec::stats() const {
  return contexts_->stats;
}

std::size_t value_codec::bytes() const {
  return ZSTD_sizeof_CCtx(contexts_->compressing.get())
         + ZSTD_sizeof_DCtx(contexts_->decompressing.get()) + contexts_->scratch.capacity();
}

} // namespace skep::store
