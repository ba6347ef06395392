#pragma once

#include "messages/cache.hpp"

// Tags 0x06xx: the semantic cache.
namespace skep::msg {

/// Looks for an answer to a text that means the same. Answered by semantic_find_reply, always.
struct semantic_find_request {
  /// The policy's name in the configuration.
  std::string policy;
  /// Hash of everything but the text: answers never cross it.
  cache_key partition;
  std::string text;
  SKEP_MESSAGE(0x0601, 1, policy, partition, text)
};

/// `serve`: the entry under `key` may be served. Otherwise, when `candidate`, it would have been
/// the answer: whoever gets the real one reports how the two compare (semantic_learn_request).
struct semantic_find_reply {
  bool candidate = false;
  bool serve = false;
  cache_key key;
  /// The cosine of the two texts in thousandths.
  std::uint32_t similarity = 0;
  SKEP_MESSAGE(0x0602, 1, candidate, serve, key, similarity)
};

/// The text has now an answer of its own under `key`; nobody waits. When a find had named a
/// candidate, `compared` tells how the candidate's answer would have done.
struct semantic_learn_request {
  std::string policy;
  cache_key partition;
  std::string text;
  cache_key key;
  /// 0: there was no candidate, 1: the same answer, 2: another answer.
  std::uint8_t compared = 0;
  cache_key candidate;
  std::uint32_t similarity = 0;
  /// The texts of the real and the candidate's answer, when they are to be compared there.
  std::string answer;
  std::string candidate_answer;
  SKEP_MESSAGE(0x0603, 1, policy, partition, text, key, compared, candidate, similarity, answer,
               candidate_answer)
};

/// The answer under `key` must not be served for another text again. Answered by ack.
struct semantic_revoke_request {
  cache_key key;
  SKEP_MESSAGE(0x0604, 1, key)
};

} // namespace skep::msg
