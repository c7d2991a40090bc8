/* The whole engine on a GPU against the engine on the CPU, both in f32: the same requests give the same tokens and live
 * counts, also when KV memory holds few of the sequences at a time. */
#include "tests/unit/cuda_device.h"

#define MODEL "datasets/pocket/models/pocket-reasoner-dms-4x"
enum { PROMPTS = 8, THREADS = 6, TOKENS = 250 };

/* What a run leaves of each thread: a string of tokens and live counts. */
typedef struct {
  GString *thread[PROMPTS * THREADS];
  DmsEngineStats stats;
} Outcome;

static void keep(const DmsCompletion *completion, gpointer data) {
  Outcome *outcome = data;
  GString *text = g_string_new(NULL);
  for (int i = 0; i < completion->n_tokens; i++)
    g_string_append_printf(text, "%d:%" G_GUINT64_FORMAT " ", completion->tokens[i], completion->live[i]);
  outcome->thread[GPOINTER_TO_INT(completion->tag) * THREADS + completion->thread] = text;
}

/* FALSE after g_test_skip() where the device is not there. */
static gboolean run(DmsDevice device, gsize kv_bytes, Outcome *outcome) {
  g_autoptr(GError) error = NULL;
  DmsEngineOptions options = {.model_dir = MODEL,
                              .device = device,
                              .policy = {.kind = DMS_POLICY_DMS},
                              .precision = DMS_PRECISION_F32,
                              .max_sequences = 32,
                              .kv_bytes = kv_bytes};
  DmsEngine *engine = dms_engine_open(&options, &error);
  if (!engine) {
    g_assert_error(error, DMS_ERROR, DMS_ERROR_DEVICE);
    g_test_skip(error->message);
    return FALSE;
  }
  json_t *rows = json_load_file("tests/goldens/pocket-greedy.json", 0, NULL);
  g_assert_nonnull(rows);
  for (int p = 0; p < PROMPTS; p++) {
    json_t *ids = json_object_get(json_array_get(rows, p), "prompt_ids");
    g_autofree int32_t *prompt = g_new(int32_t, json_array_size(ids));
    for (gsize i = 0; i < json_array_size(ids); i++) prompt[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    DmsRequest request = {.prompt = prompt,
                          .prompt_length = (int)json_array_size(ids),
                          .threads = THREADS,
                          .max_new_tokens = TOKENS,
                          .sampling = {.temperature = 0.6f, .top_p = 0.95f},
                          .seed = {.seed = 5, .task = "test", .problem = p % 2 ? "odd" : "even"},
                          .tag = GINT_TO_POINTER(p)};
    dms_engine_submit(engine, &request, &error);
    g_assert_no_error(error);
  }
  while (dms_engine_pending(engine)) {
    dms_engine_step(engine, keep, outcome, &error);
    g_assert_no_error(error);
  }
  dms_engine_stats(engine, &outcome->stats);
  json_decref(rows);
  dms_engine_close(engine);
  return TRUE;
}

static int count_equal(const Outcome *a, const Outcome *b) {
  int equal = 0;
  for (int i = 0; i < PROMPTS * THREADS; i++) equal += g_string_equal(a->thread[i], b->thread[i]);
  return equal;
}

static void clear(Outcome *outcome) {
  for (int i = 0; i < PROMPTS * THREADS; i++)
    if (outcome->thread[i]) g_string_free(outcome->thread[i], TRUE);
}

static void test_same_tokens(void) {
  Outcome gpu = {0}, tight = {0}, cpu = {0};
  if (!run(DMS_DEVICE_CUDA, 256 << 20, &gpu)) return;
  g_assert_true(run(DMS_DEVICE_CPU, 0, &cpu));
  int equal = count_equal(&gpu, &cpu);
  g_test_message("%d of %d threads are the CPU's, token by token", equal, PROMPTS * THREADS);
  g_assert_cmpint(equal, >=, PROMPTS * THREADS - 1);
  /* 72 pages of 16 KiB: three or four threads at a time, of the 32 that the first run had. */
  g_assert_true(run(DMS_DEVICE_CUDA, 72 * 16400, &tight));
  g_test_message("%" G_GUINT64_FORMAT " preemptions in little memory", tight.stats.preemptions);
  g_assert_cmpuint(tight.stats.preemptions, >, 0);
  g_assert_cmpuint(tight.stats.kv_bytes_total, <, gpu.stats.kv_bytes_total / 100);
  g_assert_cmpint(count_equal(&gpu, &tight), ==, PROMPTS * THREADS);
  clear(&gpu), clear(&tight), clear(&cpu);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cuda/engine/same-tokens-as-the-cpu", test_same_tokens);
  return g_test_run();
}
