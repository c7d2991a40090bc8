/* Peak rates by measurement: every thread does one thing for a while. */
#include "engine/cpu/rates.h"

#include "engine/cpu/kernels.h"
#include "engine/cpu/memory.h"

typedef struct {
  float *arrays; /* [threads, bytes]; NULL: multiply instead */
  gsize bytes;
  double *rates; /* [threads] */
  float *sink;   /* [threads] */
} Probe;

static void probe(void *context, int task, int worker) {
  const Probe *p = context;
  const DmsKernels *kernels = dms_cpu_kernels();
  enum { ROUNDS = 100000, MICROSECONDS = 300000 };
  gsize floats = p->bytes / sizeof(float);
  float *array = p->arrays ? p->arrays + (gsize)task * floats : NULL;
  for (gsize i = 0; array && i < floats; i++) array[i] = 1;
  gint64 start = g_get_monotonic_time(), now = start;
  double done = 0;
  for (; now - start < MICROSECONDS; now = g_get_monotonic_time()) {
    p->sink[task] += array ? kernels->probe_read(array, floats) : kernels->probe_multiply(ROUNDS);
    done += array ? (double)p->bytes : (double)ROUNDS * DMS_PROBE_CHAINS * 16;
  }
  p->rates[task] = done * 1e6 / (double)(now - start);
}

static double run_probe(DmsThreads *threads, float *arrays, gsize bytes) {
  int n = dms_threads_count(threads);
  g_autofree double *rates = g_new0(double, n);
  g_autofree float *sink = g_new0(float, n);
  Probe job = {arrays, bytes, rates, sink};
  dms_threads_run(threads, n, probe, &job);
  double sum = 0;
  for (int i = 0; i < n; i++) sum += rates[i];
  return sum;
}

double dms_cpu_multiply_rate(DmsThreads *threads) {
  return run_probe(threads, NULL, 0);
}

gboolean dms_cpu_read_rate(DmsThreads *threads, gsize bytes, double *rate, GError **error) {
  gsize all = bytes * (gsize)dms_threads_count(threads);
  float *arrays = dms_memory_map(all, "measuring the memory", error);
  if (!arrays) return FALSE;
  *rate = run_probe(threads, arrays, bytes);
  dms_memory_unmap(arrays, all);
  return TRUE;
}
