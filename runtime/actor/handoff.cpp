#include "runtime/actor/handoff.hpp"

#include <utility>

namespace skep::rt {

namespace {

// Turns in a row before the others in the scheduler's queue get theirs.
constexpr int turns_max = 8;

/// Takes woken actors of one thread. Its jobs hold a reference already, as CAF's workers expect.
class slot_unit final : public caf::execution_unit {
public:
  explicit slot_unit(caf::execution_unit* worker)
    : execution_unit(&worker->system()), worker_(worker) {}
  ~slot_unit() {
    if (job_ != nullptr)
      worker_->exec_later(job_);
  }
  void exec_later(caf::resumable* job) override {
    if (auto* first = std::exchange(job_, job))
      worker_->exec_later(first);
  }
  caf::resumable* take() {
    return std::exchange(job_, nullptr);
  }

private:
  caf::execution_unit* worker_;
  caf::resumable* job_ = nullptr;
};

thread_local slot_unit* current = nullptr;

/// What CAF's workers do with a job's turn.
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

caf::execution_unit* handoff::unit() {
  return current;
}

caf::resumable::resume_result
handoff::run(caf::execution_unit* worker, std::size_t throughput,
             const std::function<caf::resumable::resume_result()>& turn) {
  if (current != nullptr)
    return turn(); // Inside the loop below: the outer one goes on.
  slot_unit slot{worker};
  current = &slot;
  const auto first = turn();
  for (int turns = 1; turns < turns_max; ++turns) {
    auto* job = slot.take();
    if (job == nullptr)
      break;
    finish_turn(worker, job, job->resume(worker, throughput));
  }
  current = nullptr;
  return first;
}

} // namespace skep::rt
