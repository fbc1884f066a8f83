// How long a process was kept from a core by others: the part of a measurement that is the machine's fault, not the client's.
//
// In: a process id. Out: nanoseconds that its threads have spent ready to run but not running, so far (the second figure of
// /proc/PID/task/TID/schedstat, Linux's Documentation/scheduler/sched-stats.rst); null where the system does not tell.
import { readdirSync, readFileSync } from 'node:fs';

export function coreWaitNs(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.reduce((sum, tid) => sum + waitOf(`/proc/${pid}/task/${tid}/schedstat`), 0);
  } catch {
    return null;
  }
}

const waitOf = (file) => Number(readFileSync(file, 'utf8').split(' ')[1]);
