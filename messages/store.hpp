#pragma once

#include "messages/message.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Tags 0x07xx: the durable store of a node. What it may answer is in
// runtime/store/durable_store.hpp.
namespace skep::msg {

/// Names one entry. Tenants see nothing of each other.
struct store_key {
  std::string tenant;
  /// What the entry is: "response".
  std::string kind;
  std::string id;
  SKEP_RECORD(tenant, kind, id)
};

/// Writes an entry. Answered by store_put_reply. Errors: errc::too_large, overloaded (full, or too
/// much waits), deadline_exceeded (it may have been written all the same), unavailable (the disk),
/// malformed (the file is damaged).
struct store_put_request {
  store_key key;
  std::string value;
  /// 0: kept until it is erased.
  std::uint64_t ttl_ms = 0;
  /// Write only if the entry has `version` now; 0: if there is none.
  bool checked = false;
  std::uint64_t version = 0;
  /// Above 0: write only if nobody wrote with a higher one.
  std::uint64_t fence = 0;
  /// The oldest entries of the kind may go when it is full; else the write is refused.
  bool make_room = false;
  SKEP_MESSAGE(0x0701, 1, key, value, ttl_ms, checked, version, fence, make_room)
};

/// What became of a conditional write or erasure.
struct store_put_reply {
  bool done = false;
  /// The entry's version now; 0: there is none.
  std::uint64_t version = 0;
  SKEP_MESSAGE(0x0702, 1, done, version)
};

/// Asks for an entry. Answered by store_get_reply, also when there is none.
struct store_get_request {
  store_key key;
  SKEP_MESSAGE(0x0703, 1, key)
};

/// The entry.
struct store_get_reply {
  bool found = false;
  std::string value;
  std::uint64_t version = 0;
  /// 0: it does not expire.
  std::uint64_t left_ms = 0;
  SKEP_MESSAGE(0x0704, 1, found, value, version, left_ms)
};

/// Erases an entry; conditions as in store_put_request. Answered by store_put_reply: `done` when
/// there was one and it is gone.
struct store_erase_request {
  store_key key;
  bool checked = false;
  std::uint64_t version = 0;
  std::uint64_t fence = 0;
  SKEP_MESSAGE(0x0705, 1, key, checked, version, fence)
};

/// Asks for a tenant's entries of a kind with ids behind `after`, in the order of their bytes.
/// Answered by store_scan_reply.
struct store_scan_request {
  std::string tenant;
  std::string kind;
  std::string after;
  std::uint32_t entries_max = 100;
  /// Bytes of the values; at least one entry comes.
  std::uint64_t bytes_max = 1'048'576;
  SKEP_MESSAGE(0x0706, 1, tenant, kind, after, entries_max, bytes_max)
};

/// One entry of a scan.
struct store_entry {
  std::string id;
  std::string value;
  std::uint64_t version = 0;
  /// 0: it does not expire.
  std::uint64_t left_ms = 0;
  SKEP_RECORD(id, value, version, left_ms)
};

/// A page of entries.
struct store_scan_reply {
  std::vector<store_entry> entries;
  /// There may be more behind the last one.
  bool more = false;
  SKEP_MESSAGE(0x0707, 1, entries, more)
};

} // namespace skep::msg
