/* How fast the pocket models generate on the CPU, beside the floor that this machine's arithmetic and memory set.
 *
 *   bench_engine [threads [max_sequences]]
 *
 * For each model: a sweep's load (48 requests of 8 threads, 800 tokens at most, T 0.6, top-p 0.95) and one sequence
 * alone. The floor of a run is the larger of two times: its multiply-adds at the measured rate, and the bytes of
 * keys and values that it read at the measured rate of reading memory (of a second-level cache's size for one
 * sequence alone, whose KV fits there). */
#include "engine/engine.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#define MODELS "datasets/pocket/models/"

typedef struct {
  double multiply_adds;             /* a second, all threads */
  double memory_bytes, cache_bytes; /* read a second, all threads: of a large array, of one of 512 KiB a thread */
} Machine;

/* ---- The machine ---- */

typedef float Lanes __attribute__((vector_size(64)));
enum { CHAINS = 12 };

typedef struct {
  double seconds;
  gsize bytes; /* 0: multiply, otherwise read that much over and over */
  double done;
} Probe;

#define WIDEST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), optimize("O3")))

WIDEST static double multiply(int n) {
  Lanes sums[CHAINS], x = {0};
  x += 0.5f;
  for (int j = 0; j < CHAINS; j++) sums[j] = x * (float)j; /* all different, or one chain would do */
  for (int i = 0; i < n; i++)
#pragma GCC unroll 12
    for (int j = 0; j < CHAINS; j++) sums[j] = sums[j] * x + x;
  Lanes total = {0};
  for (int j = 0; j < CHAINS; j++) total += sums[j];
  return (double)total[0];
}

WIDEST static double read_all(const float *p, gsize n) {
  Lanes sums[4] = {0};
  for (gsize i = 0; i < n; i += 64)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) sums[j] += *(const Lanes *)(p + i + 16 * j);
  return (double)(sums[0] + sums[1] + sums[2] + sums[3])[0];
}

static volatile double sink;

static gpointer probe_main(gpointer data) {
  Probe *probe = data;
  float *array = probe->bytes ? g_aligned_alloc0(probe->bytes, 1, 1 << 21) : NULL;
  for (gsize i = 0; i < probe->bytes / sizeof *array; i++) array[i] = 1;
  gint64 start = g_get_monotonic_time(), now = start;
  for (; now - start < 3e5; now = g_get_monotonic_time()) {
    sink = array ? read_all(array, probe->bytes / sizeof *array) : multiply(100000);
    probe->done += array ? (double)probe->bytes : 100000.0 * CHAINS * 16;
  }
  probe->seconds = (double)(now - start) / 1e6;
  g_aligned_free(array);
  return NULL;
}

static double measure(int threads, gsize bytes) {
  g_autofree Probe *probes = g_new0(Probe, threads);
  g_autofree GThread **started = g_new(GThread *, threads);
  double rate = 0;
  for (int i = 0; i < threads; i++) {
    probes[i].bytes = bytes;
    started[i] = g_thread_new("probe", probe_main, &probes[i]);
  }
  for (int i = 0; i < threads; i++) {
    g_thread_join(started[i]);
    rate += probes[i].done / probes[i].seconds;
  }
  return rate;
}

/* ---- The load ---- */

typedef struct {
  double tokens, live, seconds;
} Totals;

static void count(const DmsCompletion *completion, gpointer data) {
  Totals *totals = data;
  totals->tokens += completion->n_tokens;
  for (int i = 0; i < completion->n_tokens; i++) totals->live += (double)completion->live[i];
}

static GArray *prompt_of(json_t *row) {
  GArray *ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  json_t *array = json_object_get(row, "prompt_ids");
  for (size_t i = 0; i < json_array_size(array); i++) {
    int32_t id = (int32_t)json_integer_value(json_array_get(array, i));
    g_array_append_val(ids, id);
  }
  return ids;
}

static Totals run(DmsEngine *engine, json_t *prompts, int requests, int threads) {
  g_autoptr(GError) error = NULL;
  for (int i = 0; i < requests; i++) {
    g_autoptr(GArray) prompt = prompt_of(json_array_get(prompts, (size_t)i % 4)); /* the four kinds */
    DmsRequest request = {.prompt = (const int32_t *)prompt->data,
                          .prompt_length = (int)prompt->len,
                          .threads = threads,
                          .max_new_tokens = 800,
                          .sampling = {0.6f, 0.95f, 0},
                          .seed = {(uint64_t)i, "bench", "pocket"}};
    if (!dms_engine_submit(engine, &request, &error)) g_error("%s", error->message);
  }
  Totals totals = {0};
  gint64 start = g_get_monotonic_time();
  while (dms_engine_pending(engine))
    if (!dms_engine_step(engine, count, &totals, &error)) g_error("%s", error->message);
  totals.seconds = (double)(g_get_monotonic_time() - start) / 1e6;
  return totals;
}

/* Weights are multiplied once a token; each KV item once by every query of its group, for its score and for its
 * value. */
static double floor_seconds(const DmsModelInfo *info, const Totals *totals, const Machine *machine, gboolean alone) {
  double hidden = info->hidden, intermediate = 512, heads = info->heads, dim = info->head_dim;
  double weights = info->layers * (hidden * dim * (2 * heads + 2 * info->kv_heads) + 3 * hidden * intermediate) +
                   hidden * info->vocab;
  double arithmetic = totals->tokens * weights + totals->live * 2 * dim * (heads / info->kv_heads);
  double bytes = totals->live * 2 * dim * sizeof(float);
  if (alone)
    return fmax(arithmetic / machine->multiply_adds, (bytes + totals->tokens * weights * 2) / machine->cache_bytes);
  return fmax(arithmetic / machine->multiply_adds, bytes / machine->memory_bytes);
}

static void report(const char *what, const DmsModelInfo *info, const Totals *totals, const Machine *machine,
                   gboolean alone) {
  double least = floor_seconds(info, totals, machine, alone);
  g_print("  %-6s %8.0f tok/s  (%.0f tokens in %.2f s, %.0f items a list; floor %.0f tok/s, reached %.0f %%)\n", what,
          totals->tokens / totals->seconds, totals->tokens, totals->seconds,
          totals->live / totals->tokens / (info->layers * info->kv_heads), totals->tokens / least,
          100 * least / totals->seconds);
}

int main(int argc, char **argv) {
  static const char *const models[] = {"pocket-reasoner", "pocket-reasoner-dms-2x", "pocket-reasoner-dms-4x",
                                       "pocket-reasoner-dms-8x"};
  int threads = argc > 1 ? atoi(argv[1]) : (int)g_get_num_processors(), sequences = argc > 2 ? atoi(argv[2]) : 256;
  g_autoptr(GError) error = NULL;
  json_error_t problem;
  json_t *prompts = json_load_file("tests/goldens/pocket-greedy.json", 0, &problem);
  if (!prompts) g_error("tests/goldens/pocket-greedy.json: %s", problem.text);
  Machine machine = {measure(threads, 0), measure(threads, (gsize)256 << 20), measure(threads, 512 << 10)};
  Totals sweep = {0};
  for (gsize i = 0; i < G_N_ELEMENTS(models); i++) {
    g_autofree char *dir = g_strconcat(MODELS, models[i], NULL);
    DmsEngineOptions options = {.model_dir = dir,
                                .cpu_threads = threads,
                                .max_sequences = sequences,
                                .policy = {.kind = i == 0 ? DMS_POLICY_VANILLA : DMS_POLICY_DMS}};
    DmsEngine *engine = dms_engine_open(&options, &error);
    if (!engine) g_error("%s", error->message);
    const DmsModelInfo *info = dms_engine_model(engine);
    Totals batch = run(engine, prompts, 48, 8), alone = run(engine, prompts, 4, 1);
    alone = (Totals){0};
    for (int kind = 0; kind < 4; kind++) {
      json_t *one = json_pack("[O]", json_array_get(prompts, (size_t)kind));
      Totals part = run(engine, one, 1, 1);
      alone = (Totals){alone.tokens + part.tokens, alone.live + part.live, alone.seconds + part.seconds};
      json_decref(one);
    }
    DmsEngineStats stats;
    dms_engine_stats(engine, &stats);
    if (i == 0)
      g_print("%s: %.0f G multiply-adds/s; reads %.0f GB/s from memory, %.0f GB/s from cache; %d sequences\n",
              stats.device, machine.multiply_adds / 1e9, machine.memory_bytes / 1e9, machine.cache_bytes / 1e9,
              sequences);
    g_print("%s\n", models[i]);
    report("sweep", info, &batch, &machine, FALSE);
    report("alone", info, &alone, &machine, TRUE);
    sweep = (Totals){sweep.tokens + batch.tokens, sweep.live + batch.live, sweep.seconds + batch.seconds};
    dms_engine_close(engine);
  }
  g_print("sweep over the four models: %.0f tok/s\n", sweep.tokens / sweep.seconds);
  json_decref(prompts);
  return 0;
}
