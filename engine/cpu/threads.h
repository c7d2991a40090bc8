/* A fixed set of threads that share out the tasks of one loop at a time. Internal to engine/cpu.
 *
 * A forward pass is a few dozen short loops, each done before the next begins, so starting and joining a loop must
 * cost well below a microsecond: idle threads spin for a while before they sleep. A thread that is late (the machine
 * is busy) is not waited for: the others take its tasks. Which thread runs a task never changes what the task
 * computes. */
#ifndef DMS_CPU_THREADS_H
#define DMS_CPU_THREADS_H

typedef struct DmsThreads DmsThreads;

/* `worker`: 0 .. count-1, for scratch memory; 0 is the caller of dms_threads_run(). */
typedef void (*DmsTask)(void *context, int task, int worker);

/* `count` threads, the caller included; 0: as many as there are cores that the process may run on. Fewer where the
 * system allows no more. */
DmsThreads *dms_threads_new(int count);
void dms_threads_free(DmsThreads *threads);
int dms_threads_count(const DmsThreads *threads);

/* Calls task(context, i, worker) once for each i in [0, n), and returns when all have returned. A single task runs
 * on the caller. Not to be called from a task. */
void dms_threads_run(DmsThreads *threads, int n, DmsTask task, void *context);

#endif
