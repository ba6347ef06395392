#pragma once

#include "messages/errc.hpp"
#include "messages/native_api.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace skep {

/// Why something did not work: the code decides what callers do, the detail is for people.
struct failure {
  errc code = errc::none;
  /// What went wrong and what to do, in words a colleague would use; never a secret, never a
  /// prompt.
  std::string detail;
  /// When trying again makes sense; zero when nothing is known.
  std::chrono::milliseconds retry_after{0};
  /// The provider it comes from, by its name in the configuration; empty when none was asked.
  std::string provider;
  /// The HTTP status the provider answered with; 0 when none came.
  std::uint32_t status = 0;
  /// How often providers were asked before the call was given up, retries included.
  std::uint32_t tries = 0;
  /// The member of the request at fault, as the provider names it; empty when it names none.
  std::string param;
  /// What the provider calls a fault of the request that no errc names, for clients that know its
  /// words; empty otherwise.
  std::string provider_type;
  std::string provider_code;
  /// The error's body as the provider wrote it, JSON, for clients of the API it is written in;
  /// empty otherwise.
  msg::native_api provider_api = msg::native_api::none;
  std::string provider_body;

  failure() = default;
  explicit failure(errc c, std::string d = {}, std::chrono::milliseconds after = {})
    : code(c), detail(std::move(d)), retry_after(after) {}

  friend bool operator==(const failure&, const failure&) = default;
};

/// "code: detail", for logs.
std::string to_string(const failure& f);

} // namespace skep
