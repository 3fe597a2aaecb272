#include "gil.hpp"

#include <cxxabi.h>
#include <unistd.h>

#include "kv_storage/error.hpp"
#include "ref.hpp"

namespace kv::py {

void detach() noexcept { detached_thread = PyEval_SaveThread(); }

// Up to Python 3.13, taking the GIL while the interpreter finalises ends the thread by unwinding its stack, through
// destructors that would touch Python objects without the GIL. 3.14 lets such a thread hang until the process is gone;
// so do we on all versions.
void attach_detached() noexcept {
  PyThreadState* state = std::exchange(detached_thread, nullptr);
  try {
    PyEval_RestoreThread(state);
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
}

void check_signals_detached() {
  attach();
  if (PyErr_CheckSignals() < 0) throw Error(ErrorCode::kInterrupted, "interrupted by a signal handler");
  detach();
}

void give_way() {
  detach();
  attach();
  check(PyErr_CheckSignals());
}

void wait_for_lock(bool (*try_wait)(void*), void* context) {
  // A native thread (a CSV loader), or one before or after the interpreter, has no GIL to give up.
  const bool python_thread = Py_IsInitialized() != 0 && PyGILState_GetThisThreadState() != nullptr;
  if (detached_thread == nullptr && python_thread) detach();
  while (!try_wait(context)) {
    if (detached_thread != nullptr) check_signals_detached();
  }
}

}  // namespace kv::py
