/* The thread pool: a ticket counter that the threads draw tasks from, spinning first and a futex after. */
#include "engine/cpu/threads.h"

#include <glib.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rounds of waiting before a thread sleeps, some 100 us in all: longer than any serial stretch between two loops of
 * a step. After the first few each round lets others run, who may be what is waited for. */
enum { BUSY_ROUNDS = 2000, ROUNDS = 2100 };

struct DmsThreads {
  /* Loop number (high half) and tasks not yet drawn (low half) in one word: a late thread can draw only from the
   * loop that it saw. */
  _Alignas(64) _Atomic uint64_t ticket;
  _Alignas(64) _Atomic uint32_t loop; /* the ticket's high half, as a word to sleep on */
  _Atomic uint32_t sleepers;
  _Alignas(64) _Atomic uint32_t done; /* tasks of this loop that have returned */
  _Atomic uint32_t caller_sleeps;
  _Atomic int stop;

  /* The loop's work: written before its ticket, read after a task is drawn, and the loop does not end before that
   * task has returned. */
  DmsTask task;
  void *context;
  uint32_t n;

  int count;
  GThread **threads; /* [count - 1] */
};

typedef struct {
  DmsThreads *threads;
  int worker;
} WorkerStart;

static void relax(int round) {
  if (round >= BUSY_ROUNDS) {
    sched_yield();
    return;
  }
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* Draws and runs tasks of loop `loop` until none is left. */
static void work(DmsThreads *threads, uint32_t loop, int worker) {
  uint64_t ticket = atomic_load_explicit(&threads->ticket, memory_order_acquire);
  while (ticket >> 32 == loop && (uint32_t)ticket > 0) {
    if (!atomic_compare_exchange_weak_explicit(&threads->ticket, &ticket, ticket - 1, memory_order_acq_rel,
                                               memory_order_acquire))
      continue;
    uint32_t n = threads->n;
    threads->task(threads->context, (int)(n - (uint32_t)ticket), worker);
    if (atomic_fetch_add(&threads->done, 1) + 1 == n && atomic_load(&threads->caller_sleeps))
      futex_wake(&threads->done, 1);
    ticket = atomic_load_explicit(&threads->ticket, memory_order_acquire);
  }
}

static gpointer worker_main(gpointer data) {
  g_autofree WorkerStart *start = data;
  DmsThreads *threads = start->threads;
  uint32_t seen = 0;
  while (TRUE) {
    for (int i = 0; i < ROUNDS && atomic_load_explicit(&threads->loop, memory_order_acquire) == seen; i++) relax(i);
    while (atomic_load(&threads->loop) == seen) {
      atomic_fetch_add(&threads->sleepers, 1);
      futex_wait(&threads->loop, seen);
      atomic_fetch_sub(&threads->sleepers, 1);
    }
    if (atomic_load(&threads->stop)) return NULL;
    seen = atomic_load(&threads->loop);
    work(threads, seen, start->worker);
  }
}

static void begin_loop(DmsThreads *threads, uint32_t n) {
  uint32_t loop = atomic_load_explicit(&threads->loop, memory_order_relaxed) + 1;
  atomic_store_explicit(&threads->done, 0, memory_order_relaxed);
  atomic_store_explicit(&threads->ticket, (uint64_t)loop << 32 | n, memory_order_release);
  atomic_store(&threads->loop, loop);
  if (atomic_load(&threads->sleepers)) futex_wake(&threads->loop, INT32_MAX);
}

void dms_threads_run(DmsThreads *threads, int n, DmsTask task, void *context) {
  if (n <= 0) return;
  if (n == 1 || threads->count == 1) {
    for (int i = 0; i < n; i++) task(context, i, 0);
    return;
  }
  threads->task = task, threads->context = context, threads->n = (uint32_t)n;
  begin_loop(threads, (uint32_t)n);
  work(threads, atomic_load_explicit(&threads->loop, memory_order_relaxed), 0);
  for (int i = 0; i < ROUNDS; i++) {
    if (atomic_load_explicit(&threads->done, memory_order_acquire) == (uint32_t)n) return;
    relax(i);
  }
  atomic_store(&threads->caller_sleeps, 1);
  for (uint32_t done; (done = atomic_load(&threads->done)) != (uint32_t)n;) futex_wait(&threads->done, done);
  atomic_store(&threads->caller_sleeps, 0);
}

DmsThreads *dms_threads_new(int count) {
  DmsThreads *threads = g_aligned_alloc0(1, sizeof *threads, _Alignof(DmsThreads));
  int wanted = count > 0 ? count : (int)g_get_num_processors();
  threads->threads = g_new0(GThread *, wanted);
  for (threads->count = 1; threads->count < wanted; threads->count++) {
    WorkerStart *start = g_new(WorkerStart, 1);
    *start = (WorkerStart){threads, threads->count};
    GThread *thread = g_thread_try_new("dms-cpu", worker_main, start, NULL);
    if (!thread) { /* the system allows no more: fewer do the same */
      g_free(start);
      break;
    }
    threads->threads[threads->count - 1] = thread;
  }
  return threads;
}

void dms_threads_free(DmsThreads *threads) {
  if (!threads) return;
  atomic_store(&threads->stop, 1);
  begin_loop(threads, 0);
  for (int i = 1; i < threads->count; i++) g_thread_join(threads->threads[i - 1]);
  g_free(threads->threads);
  g_aligned_free(threads);
}

int dms_threads_count(const DmsThreads *threads) {
  return threads->count;
}
