#include "runtime/actor/handoff.hpp"

#include <caf/actor_system.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <utility>
#include <vector>

namespace skep::rt {

namespace {

// Turns in a row before the others in the scheduler's queue get theirs.
constexpr int turns_max = 8;

thread_local handoff* current = nullptr;
thread_local wake_batch* current_batch = nullptr;
// Kept between batches, so that none of them allocates.
thread_local std::vector<caf::resumable*> held_back;

/// What CAF's workers do with a job after its turn.
void finish_turn(caf::execution_unit* worker, caf::resumable* job,
                 caf::resumable::resume_result how) {
  switch (how) {
    case caf::resumable::resume_later: worker->exec_later(job); break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message: caf::intrusive_ptr_release(job); break;
    case caf::resumable::shutdown_execution_unit: break;
  }
}

} // namespace

handoff::handoff(caf::execution_unit* worker) : execution_unit(&worker->system()), worker_(worker) {
  current = this;
}

handoff::~handoff() {
  current = nullptr;
  if (job_ != nullptr)
    worker_->exec_later(job_);
}

caf::execution_unit* handoff::unit() {
  if (current != nullptr)
    return current;
  return current_batch;
}

wake_batch::wake_batch(caf::actor_system& system) : execution_unit(&system) {
  current_batch = this;
}

wake_batch::~wake_batch() {
  current_batch = nullptr;
  for (auto* job : held_back)
    system().scheduler().enqueue(job);
  held_back.clear();
}

void wake_batch::exec_later(caf::resumable* job) {
  held_back.push_back(job);
}

void handoff::exec_later(caf::resumable* job) {
  if (auto* first = std::exchange(job_, job))
    worker_->exec_later(first);
}

void handoff::run_slot(std::size_t throughput) {
  for (int turns = 1; turns < turns_max; ++turns) {
    auto* job = std::exchange(job_, nullptr);
    if (job == nullptr)
      return;
    finish_turn(worker_, job, job->resume(worker_, throughput));
  }
}

} // namespace skep::rt
