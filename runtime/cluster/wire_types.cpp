#include "runtime/cluster/wire_types.hpp"

#include "messages/families.hpp"

namespace skep::rt {

namespace {

template <class... Ts>
void add_all(wire_types& types, type_list<Ts...>) {
  (types.add<Ts>(), ...);
}

} // namespace

wire_types::wire_types() {
  add_all(*this, all_messages{});
}

const wire_type* wire_types::find(std::uint32_t tag) const {
  const auto entry = by_tag_.find(tag);
  return entry != by_tag_.end() ? &entry->second : nullptr;
}

const wire_type* wire_types::find(const caf::type_erased_tuple& content,
                                  std::size_t position) const {
  const auto* type = content.type(position).second;
  if (type == nullptr)
    return nullptr;
  const auto entry = by_type_.find(std::type_index{*type});
  return entry != by_type_.end() ? &entry->second : nullptr;
}

} // namespace skep::rt
