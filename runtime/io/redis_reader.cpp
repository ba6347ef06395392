#include "runtime/io/redis_reader.hpp"

#include <hiredis/hiredis.h>

#include <utility>

namespace skep::io {

namespace {

/// What stands at the root of a reply: hiredis looks at type and text of a reply it did not expect,
/// so these must be where it looks for them.
struct root_reply : redisReply {
  redis_reply value;
};

redis_reading& state_of(const redisReadTask* task) {
  return *static_cast<redis_reading*>(task->privdata);
}

redis_reply& value_of(const redisReadTask* task) {
  return task->parent == nullptr
           ? static_cast<root_reply*>(static_cast<redisReply*>(task->obj))->value
           : *static_cast<redis_reply*>(task->obj);
}

redis_reply::kind kind_of(int type) {
  switch (type) {
    case REDIS_REPLY_STATUS: return redis_reply::kind::status;
    case REDIS_REPLY_ERROR: return redis_reply::kind::error;
    case REDIS_REPLY_INTEGER: return redis_reply::kind::integer;
    case REDIS_REPLY_ARRAY: return redis_reply::kind::array;
    case REDIS_REPLY_STRING: return redis_reply::kind::bulk;
    default: return redis_reply::kind::nil;
  }
}

void* refuse(redis_reading& state, const char* why) {
  state.problem = why;
  return nullptr; // hiredis takes it for want of memory and ends the connection.
}

/// Puts a value where the task says; null, which ends the connection, when it must not be.
void* place(const redisReadTask* task, redis_reply value) {
  auto& state = state_of(task);
  if (task->parent != nullptr) {
    // There is room: the array reserved what it announced.
    return &value_of(task->parent).elements.emplace_back(std::move(value));
  }
  // An error may come unasked ("max number of clients reached"); hiredis reports it.
  if (state.awaited == 0 && !value.is(redis_reply::kind::error))
    return refuse(state, "it sent a reply nobody had asked for");
  auto* root = new root_reply{{}, std::move(value)};
  root->type = task->type;
  root->str = root->value.text.data();
  root->len = root->value.text.size();
  return static_cast<redisReply*>(root);
}

/// Counts what is about to be kept.
bool fits(const redisReadTask* task, std::size_t bytes, std::size_t elements) {
  auto& state = state_of(task);
  if (task->parent == nullptr)
    state.bytes = state.elements = 0;
  state.bytes += bytes;
  state.elements += elements;
  return state.bytes <= state.bytes_max && state.elements <= state.elements_max;
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
  if (!fits(task, size, 0))
    return refuse(state_of(task), "its reply is longer than reply_bytes_max");
  redis_reply value;
  value.what = kind_of(task->type);
  value.text.assign(text, size);
  return place(task, std::move(value));
}

void* create_array(const redisReadTask* task, int count) {
  const auto announced = count > 0 ? static_cast<std::size_t>(count) : 0;
  if (!fits(task, 0, announced))
    return refuse(state_of(task), "its reply has more elements than reply_elements_max");
  redis_reply value;
  value.what = redis_reply::kind::array;
  value.elements.reserve(announced);
  return place(task, std::move(value));
}

void* create_integer(const redisReadTask* task, long long number) {
  fits(task, 0, 0);
  redis_reply value;
  value.what = redis_reply::kind::integer;
  value.integer = number;
  return place(task, std::move(value));
}

void* create_nil(const redisReadTask* task) {
  fits(task, 0, 0);
  return place(task, {});
}

void free_reply(void* reply) {
  delete static_cast<root_reply*>(static_cast<redisReply*>(reply));
}

} // namespace

void use_bounded_replies(redisReader& reader, redis_reading& state) {
  static redisReplyObjectFunctions functions{create_string, create_array, create_integer,
                                             create_nil, free_reply};
  reader.fn = &functions;
  reader.privdata = &state;
}

redis_reply take_reply(void* from_hiredis) {
  return std::move(static_cast<root_reply*>(static_cast<redisReply*>(from_hiredis))->value);
}

} // namespace skep::io
