// What an init process owes, for a container whose first process is the runner.
//
// The kernel drops signals to PID 1 that it has no handler for, so SIGTERM would not stop a plain script, and nobody
// else reaps orphans. So PID 1 forks once: the child is the program, the parent forwards signals to it, reaps
// whatever dies, and ends with the program's exit status, which ends everything left in the container.
#pragma once

namespace runner {

// Nothing unless this process is PID 1; there it returns in the child only. Call before any thread exists.
void leave_init_process();

}  // namespace runner
