#pragma once

#include "messages/failure.hpp"
#include "runtime/actor/lease.hpp"

namespace skep::actors {

/// Who has a bounded number of places for calls and learns, while a call is at work, whether it
/// needs one. Calls it does not know have none and need none. Thread-safe; must not block.
class call_places {
public:
  /// Work is about to be done for this call: it needs its place, or now gets one. False: there is
  /// none left.
  virtual bool claim(const rt::lease& which) = 0;
  /// Somebody else's work answers this call: its place is free from now on.
  virtual void leave(const rt::lease& which) = 0;
  /// What a call without a place is refused with.
  virtual failure no_place() const = 0;

protected:
  ~call_places() = default;
};

} // namespace skep::actors
