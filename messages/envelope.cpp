#include "messages/envelope.hpp"

#include "messages/codec_impl.hpp"

namespace skep {

namespace {

constexpr std::uint8_t envelope_version = 1;
constexpr std::uint64_t no_deadline = ~std::uint64_t{0};

// The shapes on the wire: records like any message's, so that they evolve by appending too.
struct address_fields {
  std::uint64_t incarnation = 0;
  std::uint64_t actor = 0;
  std::string name;
  SKEP_RECORD(incarnation, actor, name)
};

struct trace_fields {
  std::array<std::uint8_t, 16> trace{};
  std::array<std::uint8_t, 8> span{};
  std::uint8_t flags = 0;
  SKEP_RECORD(trace, span, flags)
};

struct context_fields {
  std::array<std::uint8_t, 16> id{};
  std::uint64_t remaining_us = no_deadline;
  std::uint8_t priority = static_cast<std::uint8_t>(skep::priority::normal);
  std::uint32_t flags = 0;
  std::string tenant;
  std::string session;
  std::optional<trace_fields> trace;
  SKEP_RECORD(id, remaining_us, priority, flags, tenant, session, trace)
};

struct envelope_fields {
  std::uint8_t version = envelope_version;
  std::uint8_t kind = 0;
  address_fields source;
  address_fields target;
  std::uint64_t correlation = 0;
  std::optional<context_fields> context;
  std::uint32_t tag = 0;
  std::uint64_t credit = 0;
  SKEP_RECORD(version, kind, source, target, correlation, context, tag, credit)
};

/// Fields of the head, then the payload.
constexpr std::uint32_t elements = std::tuple_size_v<decltype(envelope_fields{}.fields())> + 1;

using time_point = std::chrono::steady_clock::time_point;

std::uint64_t remaining(time_point deadline, time_point now) {
  if (deadline == time_point::max())
    return no_deadline;
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - now).count();
  return left > 0 ? static_cast<std::uint64_t>(left) : 0;
}

time_point deadline_of(std::uint64_t remaining_us, time_point now) {
  // A century is no deadline either, and would overflow the clock.
  constexpr std::uint64_t century_us = std::uint64_t{100} * 365 * 86'400 * 1'000'000;
  if (remaining_us >= century_us)
    return time_point::max();
  return now + std::chrono::microseconds{remaining_us};
}

context_fields write_context(const context& from, time_point now) {
  context_fields fields;
  fields.id = from.id.bytes;
  fields.remaining_us = remaining(from.deadline, now);
  fields.priority = static_cast<std::uint8_t>(from.priority);
  fields.flags = from.flags;
  fields.tenant = from.tenant;
  fields.session = from.session;
  if (from.trace.valid())
    fields.trace = trace_fields{from.trace.trace, from.trace.span, from.trace.flags};
  return fields;
}

/// Cancels and credits say nothing of their request but its correlation.
bool has_context(envelope_kind kind) {
  return kind == envelope_kind::send || kind == envelope_kind::request;
}

std::string check(const envelope_fields& fields) {
  if (fields.version == 0)
    return "version 0 does not exist";
  if (fields.kind >= envelope_kind_count)
    return "kind " + std::to_string(fields.kind) + " is unknown";
  if (fields.context && fields.context->tenant.size() > tenant_bytes_max)
    return "the tenant's name is longer than " + std::to_string(tenant_bytes_max) + " bytes";
  if (fields.context && fields.context->priority > static_cast<std::uint8_t>(priority::interactive))
    return "priority " + std::to_string(fields.context->priority) + " is unknown";
  return {};
}

context read_context(const context_fields& fields, time_point now) {
  context read;
  read.id.bytes = fields.id;
  read.deadline = deadline_of(fields.remaining_us, now);
  read.priority = static_cast<priority>(fields.priority);
  read.flags = fields.flags;
  read.tenant = fields.tenant;
  read.session = fields.session;
  if (fields.trace)
    read.trace = {fields.trace->trace, fields.trace->span, fields.trace->flags};
  return read;
}

envelope read_head(const envelope_fields& fields, time_point now) {
  envelope head;
  head.kind = static_cast<envelope_kind>(fields.kind);
  head.source = {incarnation{fields.source.incarnation}, actor_number{fields.source.actor}};
  head.target = {incarnation{fields.target.incarnation}, actor_number{fields.target.actor}};
  head.target_name = fields.target.name;
  head.correlation = fields.correlation;
  head.tag = fields.tag;
  head.credit = fields.credit;
  if (fields.context)
    head.context = read_context(*fields.context, now);
  return head;
}

/// Reads the head's elements one by one; the payload follows them.
bool read_fields(msgpack_reader& from, envelope_fields& fields) {
  std::size_t index = 0;
  const auto one = [&](auto& field) {
    if (detail::field_codec<std::remove_cvref_t<decltype(field)>>::unpack(from, field)) {
      ++index;
      return true;
    }
    from.located(detail::field_name(envelope_fields::field_list, index));
    return false;
  };
  return std::apply([&](auto&... field) { return (one(field) && ...); }, fields.fields());
}

} // namespace

void encode_envelope(const envelope& head, std::string_view payload, time_point now,
                     std::string& out) {
  encode_envelope_front(head, payload.size(), now, out);
  out += payload;
}

void encode_envelope_front(const envelope& head, std::size_t payload_size, time_point now,
                           std::string& out) {
  envelope_fields fields;
  fields.kind = static_cast<std::uint8_t>(head.kind);
  fields.source = {head.source.incarnation.value(), head.source.actor.value(), {}};
  fields.target = {head.target.incarnation.value(), head.target.actor.value(), head.target_name};
  fields.correlation = head.correlation;
  fields.tag = head.tag;
  fields.credit = head.credit;
  // What belongs to no request (a plain notification) carries none.
  if (has_context(head.kind) && head.context != skep::context{})
    fields.context = write_context(head.context, now);
  detail::string_sink sink{out};
  detail::packer to{sink};
  to.pack_array(elements);
  std::apply(
    [&to](const auto&... field) {
      (detail::field_codec<std::remove_cvref_t<decltype(field)>>::pack(to, field), ...);
    },
    fields.fields());
  to.pack_bin(static_cast<std::uint32_t>(payload_size));
}

tl::expected<decoded_envelope, failure> decode_envelope(std::string_view bytes, time_point now,
                                                        const decode_limits& limits) {
  msgpack_reader from{bytes, limits};
  envelope_fields fields;
  decoded_envelope decoded;
  const auto count = from.array();
  if (count && *count < elements)
    from.fail(errc::malformed, "too few elements");
  if (!from.failed() && read_fields(from, fields)) {
    if (const auto payload = from.binary())
      decoded.payload = *payload;
    // A newer peer may have appended elements behind the payload.
    for (auto left = *count - elements; left > 0 && !from.failed(); --left)
      from.skip();
    if (!from.failed() && !from.at_end())
      from.fail(errc::malformed, "bytes follow the envelope");
  }
  if (const auto wrong = from.failed() ? std::string{} : check(fields); !wrong.empty())
    from.fail(errc::malformed, wrong);
  if (from.failed()) {
    from.located("envelope");
    return tl::make_unexpected(from.why());
  }
  decoded.head = read_head(fields, now);
  return decoded;
}

} // namespace skep
