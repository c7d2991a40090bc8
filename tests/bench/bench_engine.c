/* How fast the pocket models generate on the CPU, beside the floor that this machine's arithmetic and memory set.
 *
 *   bench_engine [threads [max_sequences]]
 *
 * For each model: a sweep's load (48 requests of 8 threads, 800 tokens at most, T 0.6, top-p 0.95) and one sequence
 * alone. The floor of a run is the larger of two times: its multiply-adds at the measured rate, and the bytes of
 * keys and values that it read at the measured rate of reading memory (of a second-level cache's size for one
 * sequence alone, whose KV fits there). */
#include "engine/cpu/rates.h"
#include "engine/engine.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define MODELS "datasets/pocket/models/"

typedef struct {
  double multiply_adds;             /* a second, all threads */
  double memory_bytes, cache_bytes; /* read a second, all threads: of a large array, of one of 512 KiB a thread */
} Machine;

static Machine measure(int count) {
  g_autoptr(GError) error = NULL;
  DmsThreads *threads = dms_threads_new(count);
  Machine machine = {.multiply_adds = dms_cpu_multiply_rate(threads)};
  if (!dms_cpu_read_rate(threads, (gsize)256 << 20, &machine.memory_bytes, &error) ||
      !dms_cpu_read_rate(threads, 512 << 10, &machine.cache_bytes, &error))
    g_error("%s", error->message);
  dms_threads_free(threads);
  return machine;
}

/* ---- The load ---- */

typedef struct {
  double tokens, live, seconds;
  double cpu_seconds; /* of all threads: what counts where others use the machine too */
} Totals;

static double cpu_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add(Totals *sum, const Totals *part) {
  sum->tokens += part->tokens, sum->live += part->live;
  sum->seconds += part->seconds, sum->cpu_seconds += part->cpu_seconds;
}

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
  Totals totals = {.cpu_seconds = -cpu_now()};
  gint64 start = g_get_monotonic_time();
  while (dms_engine_pending(engine))
    if (!dms_engine_step(engine, count, &totals, &error)) g_error("%s", error->message);
  totals.seconds = (double)(g_get_monotonic_time() - start) / 1e6;
  totals.cpu_seconds += cpu_now();
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
  g_print("  %-6s %8.0f tok/s  (%.0f tokens in %.2f s, %.2f s of CPU, %.0f items a list; floor %.0f tok/s, reached "
          "%.0f %%)\n",
          what, totals->tokens / totals->seconds, totals->tokens, totals->seconds, totals->cpu_seconds,
          totals->live / totals->tokens / (info->layers * info->kv_heads), totals->tokens / least,
          100 * least / totals->seconds);
}

int main(int argc, char **argv) {
  static const char *const models[] = {"pocket-reasoner", "pocket-reasoner-dms-2x", "pocket-reasoner-dms-4x",
                                       "pocket-reasoner-dms-8x"};
  int threads = argc > 1 ? atoi(argv[1]) : (int)g_get_num_processors(), sequences = argc > 2 ? atoi(argv[2]) : 64;
  g_autoptr(GError) error = NULL;
  json_error_t problem;
  json_t *prompts = json_load_file("tests/goldens/pocket-greedy.json", 0, &problem);
  if (!prompts) g_error("tests/goldens/pocket-greedy.json: %s", problem.text);
  Machine machine = measure(threads);
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
    Totals batch = run(engine, prompts, 48, 8), alone = {0};
    for (int kind = 0; kind < 4; kind++) {
      json_t *one = json_pack("[O]", json_array_get(prompts, (size_t)kind));
      Totals part = run(engine, one, 1, 1);
      add(&alone, &part);
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
    add(&sweep, &batch);
    dms_engine_close(engine);
  }
  g_print("sweep over the four models: %.0f tok/s, %.0f tokens a CPU second\n", sweep.tokens / sweep.seconds,
          sweep.tokens / sweep.cpu_seconds);
  json_decref(prompts);
  return 0;
}
