#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace skep {

/// A field as other languages see it: a name and a type such as "str", "u32", "[chat_message]".
struct field_schema {
  std::string name;
  std::string type;
  friend bool operator==(const field_schema&, const field_schema&) = default;
};

/// A message, or a record that travels inside messages (tag and version 0).
struct message_schema {
  std::string name;
  std::uint32_t tag = 0;
  std::uint16_t version = 0;
  std::vector<field_schema> fields;
};

/// Every message of skep's own with the records inside them, by tag, then by name.
std::vector<message_schema> built_in_schema();

/// The same as JSON: what messages/schema.json holds and other languages read.
std::string schema_json(const std::vector<message_schema>& schema);

} // namespace skep
