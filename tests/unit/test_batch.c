/* Tokens depend on the model, the prompt, the sampling and the seed path alone: bit for bit the same whatever else
 * is in the batch, in what order it came, how many sequences run together, on how many threads, and whether the KV
 * memory ran dry on the way. */
#include "engine/engine.h"
#include "tests/unit/random_model.h"

#define POCKET "datasets/pocket/models/pocket-reasoner-dms-4x"

enum { PROBLEMS = 5, THREADS = 4, LENGTH = 64 };

/* ---- Running ---- */

typedef struct {
  GHashTable *answers; /* "problem/thread" -> GBytes * of tokens and live counts */
  guint64 ends[3];     /* by DmsFinish */
} Answers;

static void keep(const DmsCompletion *completion, gpointer data) {
  Answers *answers = data;
  GByteArray *bytes = g_byte_array_new();
  g_byte_array_append(bytes, (const guint8 *)completion->tokens, (guint)completion->n_tokens * 4);
  g_byte_array_append(bytes, (const guint8 *)completion->live, (guint)completion->n_tokens * 8);
  g_byte_array_append(bytes, (const guint8 *)&completion->prefill_reads, 8);
  char *key = g_strdup_printf("%s/%d", (const char *)completion->tag, completion->thread);
  g_assert_false(g_hash_table_contains(answers->answers, key));
  g_hash_table_insert(answers->answers, key, g_byte_array_free_to_bytes(bytes));
  if (completion->message) g_test_message("%s: %s", key, completion->message);
  answers->ends[completion->finish]++;
}

static Answers answers_new(void) {
  return (Answers){.answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref)};
}

static const char *const names[PROBLEMS] = {"a", "b", "c", "d", "e"};

/* Problem number `i`: prompts of different lengths, one of them longer than a chunk of the prefill. */
static int prompt_of(int i, int32_t *ids) {
  static const int lengths[PROBLEMS] = {1, 17, 63, 300, 128};
  for (int t = 0; t < lengths[i]; t++) ids[t] = (i * 131 + t * 29 + t * t) % 600;
  return lengths[i];
}

static void submit(DmsEngine *engine, int i, int first_thread, int threads, int length) {
  g_autoptr(GError) error = NULL;
  int32_t ids[512];
  DmsRequest request = {.prompt = ids,
                        .prompt_length = prompt_of(i, ids),
                        .threads = threads,
                        .first_thread = first_thread,
                        .max_new_tokens = length,
                        .sampling = {1.0f, 0.95f, i == 2 ? 20 : 0},
                        .seed = {42, "batch", names[i]},
                        .tag = (gpointer)names[i]};
  dms_engine_submit(engine, &request, &error);
  g_assert_no_error(error);
}

static void finish(DmsEngine *engine, Answers *answers) {
  g_autoptr(GError) error = NULL;
  while (dms_engine_pending(engine)) {
    dms_engine_step(engine, keep, answers, &error);
    g_assert_no_error(error);
  }
}

static DmsEngine *open_engine(int max_sequences, int cpu_threads, gsize kv_bytes, DmsPolicyKind kind) {
  g_autoptr(GError) error = NULL;
  DmsEngineOptions options = {.model_dir = POCKET,
                              .policy = {kind, 24, 4},
                              .max_sequences = max_sequences,
                              .cpu_threads = cpu_threads,
                              .kv_bytes = kv_bytes ? kv_bytes : (gsize)256 << 20};
  DmsEngine *engine = dms_engine_open(&options, &error);
  g_assert_no_error(error);
  return engine;
}

static Answers run_all(int max_sequences, int cpu_threads, DmsPolicyKind kind, gboolean backwards) {
  DmsEngine *engine = open_engine(max_sequences, cpu_threads, 0, kind);
  Answers answers = answers_new();
  for (int i = 0; i < PROBLEMS; i++) submit(engine, backwards ? PROBLEMS - 1 - i : i, 0, THREADS, LENGTH);
  finish(engine, &answers);
  dms_engine_close(engine);
  return answers;
}

static void assert_same(const Answers *want, const Answers *got) {
  GHashTableIter iter;
  gpointer key, value;
  g_assert_cmpuint(g_hash_table_size(want->answers), ==, g_hash_table_size(got->answers));
  g_hash_table_iter_init(&iter, want->answers);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    GBytes *other = g_hash_table_lookup(got->answers, key);
    g_assert_nonnull(other);
    if (!g_bytes_equal(value, other)) g_error("the answer of %s differs", (const char *)key);
  }
}

static void assert_same_and_free(const Answers *want, Answers got) {
  assert_same(want, &got);
  g_hash_table_unref(got.answers);
}

/* The same with so little memory that sequences are preempted: short answers first make the engine expect more of
 * them. */
static Answers run_dry(int max_sequences, int cpu_threads, int pages_per_list, DmsPolicyKind kind,
                       guint64 *preemptions) {
  g_autoptr(GError) error = NULL;
  enum { PAGE = 16384, LISTS = 8 }; /* bytes; layers * KV heads */
  DmsEngine *engine = open_engine(max_sequences, cpu_threads, (gsize)PAGE * LISTS * pages_per_list, kind);
  Answers answers = answers_new();
  DmsEngineStats stats;
  submit(engine, 0, 0, 50, 2);
  while (dms_engine_pending(engine)) g_assert_true(dms_engine_step(engine, NULL, NULL, &error));
  for (int i = 0; i < PROBLEMS; i++) submit(engine, i, 0, THREADS, LENGTH);
  finish(engine, &answers);
  dms_engine_stats(engine, &stats);
  *preemptions += stats.preemptions;
  g_assert_cmpuint(stats.kv_bytes_peak, <=, stats.kv_bytes_total);
  g_assert_cmpuint(stats.kv_bytes_used, ==, 0);
  dms_engine_close(engine);
  return answers;
}

/* ---- What must not matter ---- */

static void test_independence(gconstpointer data) {
  DmsPolicyKind kind = GPOINTER_TO_INT(data);
  guint64 preemptions = 0;
  Answers want = run_all(64, 1, kind, FALSE);
  g_assert_cmpuint(g_hash_table_size(want.answers), ==, PROBLEMS * THREADS);
  assert_same_and_free(&want, run_all(64, 2, kind, FALSE));
  assert_same_and_free(&want, run_all(64, 5, kind, TRUE));
  assert_same_and_free(&want, run_all(7, 1, kind, FALSE));
  assert_same_and_free(&want, run_all(2, 2, kind, TRUE));
  assert_same_and_free(&want, run_all(1, 1, kind, FALSE));
  assert_same_and_free(&want, run_dry(64, 2, 8, kind, &preemptions));
  assert_same_and_free(&want, run_dry(64, 1, 7, kind, &preemptions));
  assert_same_and_free(&want, run_dry(6, 1, 7, kind, &preemptions));
  g_test_message("%d preemptions", (int)preemptions);
  if (kind != DMS_POLICY_WINDOW) g_assert_cmpuint(preemptions, >, 5); /* a window's need is known beforehand */
  g_hash_table_unref(want.answers);
}

/* Requests that come while others run, and threads that are added later. */
static void test_arrival(void) {
  g_autoptr(GError) error = NULL;
  Answers want = run_all(64, 1, DMS_POLICY_DMS, FALSE), got = answers_new();
  DmsEngine *engine = open_engine(6, 2, 0, DMS_POLICY_DMS);
  for (int i = PROBLEMS - 1; i >= 0; i--) {
    submit(engine, i, 2, THREADS - 2, LENGTH);
    for (int step = 0; step < 13; step++) g_assert_true(dms_engine_step(engine, keep, &got, &error));
    submit(engine, i, 0, 1, LENGTH);
    submit(engine, i, 1, 1, LENGTH);
  }
  finish(engine, &got);
  dms_engine_close(engine);
  assert_same(&want, &got);
  g_hash_table_unref(want.answers);
  g_hash_table_unref(got.answers);
}

/* A run of fewer threads or tokens is a part of a run of more. */
static void test_prefix(void) {
  Answers want = run_all(64, 1, DMS_POLICY_DMS, FALSE);
  static const int lengths[] = {1, 13, 50};
  for (gsize l = 0; l < G_N_ELEMENTS(lengths); l++) {
    DmsEngine *engine = open_engine(3, 2, 0, DMS_POLICY_DMS);
    Answers got = answers_new();
    for (int i = 0; i < PROBLEMS; i++) submit(engine, i, 0, 2, lengths[l]);
    finish(engine, &got);
    dms_engine_close(engine);
    g_assert_cmpuint(g_hash_table_size(got.answers), ==, PROBLEMS * 2);
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, got.answers);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
      gsize size, whole_size;
      const char *part = g_bytes_get_data(value, &size);
      const char *whole = g_bytes_get_data(g_hash_table_lookup(want.answers, key), &whole_size);
      gsize n = (size - 8) / 12, whole_n = (whole_size - 8) / 12;
      g_assert_cmpuint(n, ==, MIN((gsize)lengths[l], whole_n));
      g_assert_cmpmem(part, n * 4, whole, n * 4);
      g_assert_cmpmem(part + n * 4, n * 8, whole + whole_n * 4, n * 8);
    }
    g_hash_table_unref(got.answers);
  }
  g_hash_table_unref(want.answers);
}

/* Generated live counts are those of one forward pass over prompt and answer; so are greedy tokens. */
static void test_forward_agrees(void) {
  g_autoptr(GError) error = NULL;
  DmsEngine *engine = open_engine(4, 2, 0, DMS_POLICY_DMS);
  const DmsModelInfo *info = dms_engine_model(engine);
  int32_t ids[1024];
  int n = prompt_of(3, ids), lists = info->layers * info->kv_heads;
  Answers answers = answers_new();
  DmsRequest request = {.prompt = ids,
                        .prompt_length = n,
                        .threads = 1,
                        .max_new_tokens = LENGTH,
                        .tag = (gpointer) "x",
                        .sampling = {0, 1, 0}};
  g_assert_true(dms_engine_submit(engine, &request, &error));
  finish(engine, &answers);
  gsize size;
  const char *bytes = g_bytes_get_data(g_hash_table_lookup(answers.answers, "x/0"), &size);
  int made = (int)(size - 8) / 12, total = n + made;
  memcpy(ids + n, bytes, (gsize)made * 4);
  g_autofree float *logits = g_new(float, (gsize)total * info->vocab);
  g_autofree int32_t *live = g_new(int32_t, (gsize)lists * total);
  g_assert_true(dms_engine_forward(engine, ids, total, logits, NULL, live, &error));
  guint64 prefill_reads = 0, stated;
  memcpy(&stated, bytes + made * 12, 8);
  for (int t = 0; t < total - 1; t++) {
    guint64 sum = 0, counted;
    for (int list = 0; list < lists; list++) sum += (guint64)live[list * total + t];
    if (t < n) prefill_reads += sum;
    if (t < n - 1) continue;
    memcpy(&counted, bytes + made * 4 + (t - n + 1) * 8, 8);
    g_assert_cmpuint(sum, ==, counted);
    int best = 0;
    const float *row = logits + (gsize)t * info->vocab;
    for (int i = 1; i < info->vocab; i++)
      if (row[i] > row[best]) best = i;
    g_assert_cmpint(best, ==, ids[t + 1]);
  }
  g_assert_cmpuint(prefill_reads, ==, stated);
  dms_engine_close(engine);
  g_hash_table_unref(answers.answers);
}

/* A window needs few pages however long the prompt is, and gets by with them. */
static void test_little_memory(void) {
  Answers want = run_all(64, 1, DMS_POLICY_WINDOW, FALSE), got = answers_new();
  DmsEngine *engine = open_engine(64, 1, (gsize)16384 * 8 * 2, DMS_POLICY_WINDOW);
  for (int i = 0; i < PROBLEMS; i++) submit(engine, i, 0, THREADS, LENGTH);
  finish(engine, &got);
  dms_engine_close(engine);
  assert_same(&want, &got);
  g_hash_table_unref(want.answers);
  g_hash_table_unref(got.answers);
}

/* ---- What goes wrong ---- */

static void assert_refused(DmsEngine *engine, DmsRequest request, const char *part) {
  g_autoptr(GError) error = NULL;
  g_assert_false(dms_engine_submit(engine, &request, &error));
  g_assert_error(error, DMS_ERROR, DMS_ERROR_REQUEST);
  if (!strstr(error->message, part)) g_error("\"%s\" does not say \"%s\"", error->message, part);
  g_assert_cmpint(dms_engine_pending(engine), ==, 0);
}

static void test_refusals(void) {
  DmsEngine *engine = open_engine(4, 1, (gsize)16384 * 8 * 3, DMS_POLICY_VANILLA);
  int32_t ids[3] = {1, 2, 3}, outside[3] = {1, 640, 3}, negative[3] = {-1, 2, 3};
  DmsRequest good = {
      .prompt = ids, .prompt_length = 3, .threads = 1, .max_new_tokens = 10, .sampling = {0.6f, 0.95f, 0}};
  DmsRequest bad = good;
  bad.prompt_length = 0, assert_refused(engine, bad, "at least 1"), bad = good;
  bad.prompt = outside, assert_refused(engine, bad, "token 1 is id 640"), bad = good;
  bad.prompt = negative, assert_refused(engine, bad, "token 0 is id -1"), bad = good;
  bad.threads = 0, assert_refused(engine, bad, "threads 0"), bad = good;
  bad.first_thread = -1, assert_refused(engine, bad, "from -1"), bad = good;
  bad.first_thread = G_MAXINT, assert_refused(engine, bad, "threads 1"), bad = good;
  bad.max_new_tokens = 0, assert_refused(engine, bad, "max_new_tokens 0"), bad = good;
  bad.max_new_tokens = 2046, assert_refused(engine, bad, "context of 2048"), bad = good;
  bad.max_new_tokens = 300, assert_refused(engine, bad, "give more kv_bytes"), bad = good;
  bad.sampling.temperature = NAN, assert_refused(engine, bad, "temperature"), bad = good;
  bad.sampling.temperature = -1, assert_refused(engine, bad, "temperature"), bad = good;
  bad.sampling.top_p = 0, assert_refused(engine, bad, "top_p"), bad = good;
  bad.sampling.top_p = 1.5f, assert_refused(engine, bad, "top_p"), bad = good;
  bad.sampling.top_k = -1, assert_refused(engine, bad, "top_k"), bad = good;
  dms_engine_close(engine);
}

static void assert_not_opened(DmsEngineOptions options, int code, const char *part) {
  g_autoptr(GError) error = NULL;
  g_assert_null(dms_engine_open(&options, &error));
  g_assert_error(error, DMS_ERROR, code);
  if (!strstr(error->message, part)) g_error("\"%s\" does not say \"%s\"", error->message, part);
}

static void test_open_refusals(void) {
  DmsEngineOptions good = {.model_dir = POCKET, .policy = {.kind = DMS_POLICY_DMS}, .kv_bytes = 16 << 20}, bad = good;
  bad.model_dir = "no/such/folder", assert_not_opened(bad, DMS_ERROR_MODEL, "no/such/folder"), bad = good;
  bad.model_dir = "datasets/pocket/models/pocket-reasoner", assert_not_opened(bad, DMS_ERROR_MODEL, "no DMS rule"),
  bad = good;
  bad.precision = DMS_PRECISION_BF16, assert_not_opened(bad, DMS_ERROR_REQUEST, "f32"), bad = good;
  bad.kv_bytes = 1000, assert_not_opened(bad, DMS_ERROR_MEMORY, "1000"), bad = good;
  bad.kv_bytes = (gsize)1 << 50, assert_not_opened(bad, DMS_ERROR_MEMORY, "GB are free"), bad = good;
  bad.max_sequences = -1, assert_not_opened(bad, DMS_ERROR_REQUEST, "max_sequences"), bad = good;
  bad.cpu_threads = -1, assert_not_opened(bad, DMS_ERROR_REQUEST, "cpu_threads"), bad = good;
  bad.policy = (DmsPolicy){DMS_POLICY_WINDOW, -1, 0}, assert_not_opened(bad, DMS_ERROR_REQUEST, "window"), bad = good;
  bad.policy = (DmsPolicy){DMS_POLICY_WINDOW, 8, 5000}, assert_not_opened(bad, DMS_ERROR_REQUEST, "sinks"), bad = good;
}

/* DMS may need less than the worst case, so it is let try; alone and out of memory it ends as an error of its own,
 * and the next one runs. */
static void test_too_large_alone(void) {
  g_autoptr(GError) error = NULL;
  DmsEngine *engine = open_engine(4, 1, (gsize)16384 * 8, DMS_POLICY_DMS);
  Answers answers = answers_new();
  int32_t ids[512];
  int n = prompt_of(3, ids);
  DmsRequest request = {.prompt = ids,
                        .prompt_length = n,
                        .threads = 2,
                        .max_new_tokens = 8,
                        .tag = (gpointer) "long",
                        .sampling = {1, 1, 0}};
  g_assert_true(dms_engine_submit(engine, &request, &error));
  request = (DmsRequest){.prompt = ids,
                         .prompt_length = 40,
                         .threads = 2,
                         .max_new_tokens = 500,
                         .tag = (gpointer) "grows",
                         .sampling = {1, 1, 0}};
  g_assert_true(dms_engine_submit(engine, &request, &error));
  request = (DmsRequest){.prompt = ids,
                         .prompt_length = 10,
                         .threads = 2,
                         .max_new_tokens = 20,
                         .tag = (gpointer) "short",
                         .sampling = {1, 1, 0}};
  g_assert_true(dms_engine_submit(engine, &request, &error));
  finish(engine, &answers);
  g_assert_cmpuint(g_hash_table_size(answers.answers), ==, 6);
  g_assert_cmpuint(answers.ends[DMS_FINISH_ERROR], ==, 4);
  gsize size;
  g_bytes_get_data(g_hash_table_lookup(answers.answers, "grows/1"), &size);
  g_assert_cmpuint((size - 8) / 12, >, 5); /* what it had is handed over */
  dms_engine_close(engine);
  g_hash_table_unref(answers.answers);
}

static void count_error(const DmsCompletion *completion, gpointer data) {
  int *counts = data;
  counts[completion->finish]++;
  if (completion->finish == DMS_FINISH_ERROR) g_assert_nonnull(strstr(completion->message, "NaN"));
}

/* A weight that is not a number poisons the sequences that touch it, and no other. */
static void test_nan(void) {
  g_autoptr(GError) error = NULL;
  RandomModel model = {"nan", "qwen3", 64, 96, 2, 4, 2, 16, 50, DMS_DTYPE_F32, .tied = FALSE};
  RandomFolder *folder = random_folder_new(&model, 3);
  g_autofree char *path = g_build_filename(folder->dir, "model.safetensors", NULL), *text = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &text, &length, NULL));
  guint64 header;
  memcpy(&header, text, sizeof header);
  float nan = NAN;
  memcpy(text + 8 + header + 7 * 64 * sizeof nan, &nan, sizeof nan); /* the embedding of token 7 comes first */
  g_assert_true(g_file_set_contents(path, text, (gssize)length, NULL));
  DmsEngineOptions options = {.model_dir = folder->dir, .max_sequences = 8, .kv_bytes = 16 << 20};
  DmsEngine *engine = dms_engine_open(&options, &error);
  g_assert_no_error(error);
  int32_t poisoned[3] = {1, 7, 2}, clean[3] = {1, 6, 2};
  int counts[3] = {0};
  DmsRequest request = {
      .prompt = poisoned, .prompt_length = 3, .threads = 3, .max_new_tokens = 4, .sampling = {1, 1, 1}};
  g_assert_true(dms_engine_submit(engine, &request, &error));
  request.prompt = clean;
  g_assert_true(dms_engine_submit(engine, &request, &error));
  while (dms_engine_pending(engine)) g_assert_true(dms_engine_step(engine, count_error, counts, &error));
  g_assert_cmpint(counts[DMS_FINISH_ERROR], ==, 3);
  g_assert_cmpint(counts[DMS_FINISH_LENGTH] + counts[DMS_FINISH_STOP], ==, 3);
  g_autofree float *logits = g_new(float, 3 * 50);
  g_assert_false(dms_engine_forward(engine, poisoned, 3, logits, NULL, NULL, &error));
  g_assert_error(error, DMS_ERROR, DMS_ERROR_NUMERIC);
  dms_engine_close(engine);
  random_folder_free(folder);
}

/* The callback may submit. */
typedef struct {
  DmsEngine *engine;
  int left, ended;
} Chain;

static void chain_on(const DmsCompletion *completion, gpointer data) {
  Chain *chain = data;
  chain->ended++;
  g_assert_nonnull(completion->text);
  if (chain->left-- > 0) submit(chain->engine, chain->left % PROBLEMS, 0, 2, 5);
}

static void test_submit_from_callback(void) {
  g_autoptr(GError) error = NULL;
  Chain chain = {open_engine(3, 1, 0, DMS_POLICY_DMS), 6, 0};
  submit(chain.engine, 0, 0, 1, 3);
  while (dms_engine_pending(chain.engine)) g_assert_true(dms_engine_step(chain.engine, chain_on, &chain, &error));
  g_assert_cmpint(chain.ended, ==, 1 + 2 * 6);
  submit(chain.engine, 1, 0, 8, 50);
  g_assert_true(dms_engine_step(chain.engine, NULL, NULL, &error));
  dms_engine_close(chain.engine); /* with sequences that run and that wait */
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/batch/independence/vanilla", GINT_TO_POINTER(DMS_POLICY_VANILLA), test_independence);
  g_test_add_data_func("/batch/independence/dms", GINT_TO_POINTER(DMS_POLICY_DMS), test_independence);
  g_test_add_data_func("/batch/independence/window", GINT_TO_POINTER(DMS_POLICY_WINDOW), test_independence);
  g_test_add_func("/batch/arrival", test_arrival);
  g_test_add_func("/batch/prefix", test_prefix);
  g_test_add_func("/batch/forward-agrees", test_forward_agrees);
  g_test_add_func("/batch/little-memory", test_little_memory);
  g_test_add_func("/batch/refusals", test_refusals);
  g_test_add_func("/batch/open-refusals", test_open_refusals);
  g_test_add_func("/batch/too-large-alone", test_too_large_alone);
  g_test_add_func("/batch/nan", test_nan);
  g_test_add_func("/batch/submit-from-callback", test_submit_from_callback);
  return g_test_run();
}
