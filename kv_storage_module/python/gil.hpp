// The GIL and the core's locks. The order is always: give up the GIL, then wait for a part lock; never the other way.
//
// A core call starts with the GIL held. Only when it meets a lock that is taken does the wait hook give up the GIL, and
// it stays given up until the core call is over, so that no thread ever waits for the GIL while it holds a part lock.
// in_core() takes it back afterwards; when nothing was contended that is one thread-local load.
#pragma once

#include <Python.h>

#include <utility>

namespace kv::py {

// Set while this thread has given up the GIL; what to restore.
inline constinit thread_local PyThreadState* detached_thread __attribute__((tls_model("initial-exec"))) = nullptr;

void detach() noexcept;           // gives up the GIL
void attach_detached() noexcept;  // takes it back

// Makes sure that Python may be called: for callbacks out of the core.
inline void attach() noexcept {
  if (detached_thread != nullptr) [[unlikely]]
    attach_detached();
}

class AttachOnExit {
 public:
  AttachOnExit() noexcept = default;
  AttachOnExit(const AttachOnExit&) = delete;
  AttachOnExit& operator=(const AttachOnExit&) = delete;
  ~AttachOnExit() { attach(); }
};

// Runs `call`, which must touch no Python object, and returns with the GIL held. It keeps the GIL unless a lock is
// contended: for calls that take well under a microsecond.
template <class Call>
decltype(auto) in_core(Call&& call) {
  AttachOnExit on_exit;
  return std::forward<Call>(call)();
}

// The same for calls that may take long: other Python threads run meanwhile.
template <class Call>
decltype(auto) in_core_detached(Call&& call) {
  detach();
  AttachOnExit on_exit;
  return std::forward<Call>(call)();
}

// Between two slices of a long core call: runs Python's signal handlers. Throws Error{kInterrupted} if one raised.
void check_signals_detached();

// Between two slices of a long call that works with the GIL held: lets other threads run, and signal handlers.
// Throws PythonError if one raised.
void give_way();

// The hook for kv::set_wait_hook.
void wait_for_lock(bool (*try_wait)(void*), void* context);

}  // namespace kv::py
