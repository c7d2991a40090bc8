/* Steps of the CUDA backend: against the goldens' greedy tokens, against its own forward pass, through forks, stalls
 * and replays. */
#include "tests/unit/cuda_device.h"
#include "tests/unit/random_model.h"

#define POCKET "datasets/pocket/models/pocket-reasoner"

static const DmsBackendOps *ops;

static void prefill(DmsBackend *backend, int slot, const int32_t *ids, int length) {
  g_autoptr(GError) error = NULL;
  uint64_t reads;
  ops->prefill(backend, &(DmsPrefill){slot, ids, length}, 1, &reads, &error);
  g_assert_no_error(error);
}

static void fork_slot(DmsBackend *backend, int from, int to, const DmsSampler *sampler) {
  g_autoptr(GError) error = NULL;
  ops->fork(backend, from, to, sampler, &error);
  g_assert_no_error(error);
}

static DmsStepResult step_one(DmsBackend *backend, DmsStepEntry entry) {
  g_autoptr(GError) error = NULL;
  DmsStepResult result[8];
  int n;
  ops->step(backend, &entry, 1, &error);
  g_assert_no_error(error);
  ops->collect(backend, result, &n, &error);
  g_assert_no_error(error);
  g_assert_cmpint(n, ==, 1);
  return result[0];
}

static DmsModel *open_model(const char *dir) {
  g_autoptr(GError) error = NULL;
  DmsModel *model = dms_model_open(dir, &error);
  g_assert_no_error(error);
  return model;
}

static int32_t *ids_of(json_t *array, int *n) {
  *n = (int)json_array_size(array);
  int32_t *ids = g_new(int32_t, *n);
  for (int i = 0; i < *n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
  return ids;
}

/* One golden row, greedy: the tokens, and the live counts as a mean over layers and heads. In bf16 a decision within
 * rounding of its threshold may fall the other way, which leaves a list an item longer or shorter. */
static gboolean row_agrees(DmsBackend *backend, const DmsConfig *config, json_t *row, gboolean exact) {
  int n_prompt, n_want;
  g_autofree int32_t *prompt = ids_of(json_object_get(row, "prompt_ids"), &n_prompt);
  g_autofree int32_t *want = ids_of(json_object_get(row, "greedy_ids"), &n_want);
  json_t *live = json_object_get(row, "live_per_step");
  int lists = config->layers * config->kv_heads, agreed = 0;
  prefill(backend, 0, prompt, n_prompt);
  fork_slot(backend, 0, 0, &(DmsSampler){.temperature = 0, .top_p = 1});
  for (; agreed < n_want; agreed++) {
    DmsStepResult result = step_one(backend, (DmsStepEntry){.slot = 0, .index = agreed, .forced = -1});
    if (result.token != want[agreed]) break;
    double want_live = json_number_value(json_array_get(live, agreed));
    g_assert_cmpfloat_with_epsilon((double)result.live / lists, want_live, exact ? 0.02 : 0.02 * want_live);
  }
  ops->release(backend, 0);
  return agreed == n_want;
}

static void test_pocket_greedy(gconstpointer data) {
  DmsPrecision precision = (DmsPrecision)GPOINTER_TO_INT(data);
  gboolean exact = precision == DMS_PRECISION_F32;
  g_autoptr(GError) error = NULL;
  if (!g_file_test(POCKET, G_FILE_TEST_IS_DIR)) {
    g_test_skip("no " POCKET);
    return;
  }
  json_t *rows = json_load_file("tests/goldens/pocket-greedy.json", 0, NULL);
  g_assert_nonnull(rows);
  static const char *const kinds[][2] = {
      {"base", ""}, {"dms_cr2", "-dms-2x"}, {"dms_cr4", "-dms-4x"}, {"dms_cr8", "-dms-8x"}};
  int agreed = 0;
  for (gsize k = 0; k < G_N_ELEMENTS(kinds); k++) {
    g_autofree char *dir = g_strconcat(POCKET, kinds[k][1], NULL);
    DmsModel *model = open_model(dir);
    DmsBackendOptions options = options_for(model, precision, 4, 64 << 20);
    DmsBackend *backend = open_or_skip(&options);
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
      if (backend && !strcmp(json_string_value(json_object_get(row, "model")), kinds[k][0]))
        agreed += row_agrees(backend, &model->config, row, exact);
    }
    if (backend) ops->close(backend);
    dms_model_free(model);
    if (!backend) {
      json_decref(rows);
      return;
    }
  }
  int all = (int)json_array_size(rows);
  g_test_message("%d of %d greedy rows agree", agreed, all);
  /* In bf16 a near tie may fall the other way, in fp8 more of them. */
  g_assert_cmpint(agreed, >=, exact ? all : precision == DMS_PRECISION_BF16 ? all / 2 : all / 4);
  json_decref(rows);
}

/* A model of random weights of some shape, whose decisions are drawn by hash. */
static DmsModel *random_model(int hidden, int intermediate, int heads, int kv_heads, int head_dim, double rate) {
  g_autoptr(GError) error = NULL;
  g_autofree char *config = g_strdup_printf(
      "{\"model_type\": \"qwen3\", \"architectures\": [\"Qwen3ForCausalLM\"], \"vocab_size\": 512, \"hidden_size\": "
      "%d, "
      "\"intermediate_size\": %d, \"num_hidden_layers\": 3, \"num_attention_heads\": %d, \"num_key_value_heads\": %d, "
      "\"head_dim\": %d, "
      "\"hidden_act\": \"silu\", \"max_position_embeddings\": 2048, \"rms_norm_eps\": 1e-6, \"tie_word_embeddings\": "
      "false, "
      "\"rope_theta\": 10000.0, \"attention_bias\": false, \"dms_window_size\": 24, \"dms_alpha_scale\": 100.0, "
      "\"dms_initial_alpha_offset\": 5.0, \"dms_separate_alpha\": false, \"dms_cr\": 4}",
      hidden, intermediate, heads, kv_heads, head_dim);
  g_autofree char *dir = g_dir_make_tmp("dms-cuda-XXXXXX", NULL), *path = g_build_filename(dir, "config.json", NULL);
  g_assert_true(g_file_set_contents(path, config, -1, NULL));
  DmsModel *model = dms_model_open_random(path, rate, &error);
  g_assert_no_error(error);
  g_remove(path), g_rmdir(dir);
  return model;
}

/* How greedy steps compare with a forward pass over what they made. */
typedef struct {
  int tokens, apart;         /* all, and those whose logit falls short of the best by more than `short_of` */
  double furthest;           /* by how much one does at most */
  uint64_t live, live_apart; /* items attended to, and by how many the two differ, summed over steps */
} Agreement;

enum { PROMPT = 150, MOST_STEPS = 200 };

/* Adds one sequence of `steps` tokens behind the prompt, with the live counts of its steps. `first` is the first token
 * that was not forced. */
static void compare_sequence(DmsBackend *backend, const DmsConfig *config, const int32_t *ids, const uint64_t *live,
                             int steps, int first, double short_of, Agreement *agreement) {
  int n = PROMPT + steps, lists = config->layers * config->kv_heads;
  g_autofree float *logits = g_new(float, (gsize)n * config->vocab);
  g_autofree int32_t *counts = g_new(int32_t, (gsize)n * lists);
  g_autoptr(GError) error = NULL;
  ops->forward(backend, ids, n, logits, NULL, counts, &error);
  g_assert_no_error(error);
  for (int i = 0; i < steps; i++) {
    const float *row = logits + (gsize)(PROMPT + i - 1) * config->vocab;
    float best = row[0];
    for (int v = 1; v < config->vocab; v++) best = MAX(best, row[v]);
    double short_by = i < first ? 0 : best - row[ids[PROMPT + i]];
    agreement->tokens += i >= first, agreement->apart += short_by > short_of;
    agreement->furthest = MAX(agreement->furthest, short_by);
    uint64_t sum = 0;
    for (int l = 0; l < lists; l++) sum += counts[(gsize)l * n + PROMPT + i - 1];
    agreement->live += sum, agreement->live_apart += MAX(live[i], sum) - MIN(live[i], sum);
  }
}

/* `sequences` of one prompt in steps of changing numbers of them, greedy but for a first token that tells one from the
 * other; or 200 tokens of a single one. FALSE after g_test_skip(). */
static gboolean compare_steps(const DmsModel *model, DmsPrecision precision, int sequences, double short_of,
                              Agreement *agreement) {
  const DmsConfig *config = &model->config;
  int steps = sequences > 1 ? 30 : MOST_STEPS, forced = sequences > 1;
  DmsBackendOptions options = options_for(model, precision, sequences + 1, (gsize)1 << 30);
  DmsBackend *backend = open_or_skip(&options);
  if (!backend) return FALSE;
  g_autofree int32_t *ids = g_new(int32_t, sequences * (PROMPT + MOST_STEPS));
  g_autofree uint64_t *live = g_new(uint64_t, sequences * MOST_STEPS);
  g_autofree DmsStepEntry *entries = g_new(DmsStepEntry, sequences);
  g_autofree DmsStepResult *results = g_new(DmsStepResult, sequences);
  g_autofree int *taken = g_new0(int, sequences);
  g_autoptr(GError) error = NULL;
  for (int i = 0; i < PROMPT; i++) ids[i] = (i * 7919 + 13) % config->vocab;
  prefill(backend, 0, ids, PROMPT);
  for (int s = 0; s < sequences; s++) {
    fork_slot(backend, 0, s + 1, &(DmsSampler){.temperature = 0, .top_p = 1});
    memmove(ids + s * (PROMPT + MOST_STEPS), ids, PROMPT * sizeof *ids);
  }
  ops->release(backend, 0);
  for (int round = 0, left = sequences * steps; left; round++) {
    /* Mostly all of them, now and then half of them or one alone: buckets change from step to step. */
    int first = round % 5 == 4 ? round % sequences : 0, n = 0, got;
    int end = round % 5 == 4 ? first + 1 : round % 5 == 2 ? (sequences + 1) / 2 : sequences;
    for (int s = first; s < end; s++)
      if (taken[s] < steps) {
        int token = taken[s] < forced ? (s * 37 + 11) % config->vocab : -1;
        entries[n++] = (DmsStepEntry){.slot = s + 1, .index = taken[s], .forced = token};
      }
    if (!n) continue;
    ops->step(backend, entries, n, &error);
    g_assert_no_error(error);
    ops->collect(backend, results, &got, &error);
    g_assert_no_error(error);
    g_assert_cmpint(got, ==, n);
    for (int i = 0; i < n; i++, left--) {
      int s = entries[i].slot - 1, at = taken[s]++;
      g_assert_cmpint(results[i].token, >=, 0);
      ids[s * (PROMPT + MOST_STEPS) + PROMPT + at] = results[i].token, live[s * MOST_STEPS + at] = results[i].live;
    }
  }
  *agreement = (Agreement){0};
  for (int s = 0; s < sequences; s++)
    compare_sequence(backend, config, ids + s * (PROMPT + MOST_STEPS), live + s * MOST_STEPS, steps, forced, short_of,
                     agreement);
  g_test_message("hidden %d, intermediate %d, head_dim %d, group %d, batch %d: %d of %d tokens are not the forward "
                 "pass's best, by %.3f at most; live items differ by %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT,
                 config->hidden, config->intermediate, config->head_dim, config->heads / config->kv_heads, sequences,
                 agreement->apart, agreement->tokens, agreement->furthest, agreement->live_apart, agreement->live);
  for (int s = 0; s < sequences; s++) ops->release(backend, s + 1);
  DmsMemory memory;
  ops->memory(backend, &memory);
  g_assert_cmpuint(memory.bytes_used, ==, 0);
  ops->close(backend);
  return TRUE;
}

/* The token wherever its lead is clear, the live counts everywhere: decisions are drawn by position. The later rows
 * have shapes that the kernel for single rows takes, of each kind that it knows; the last ones are batches. */
static void test_steps_are_forward(gconstpointer data) {
  static const struct {
    int hidden, intermediate, heads, kv_heads, head_dim, sequences;
  } shapes[] = {{128, 256, 4, 4, 16, 1},      {256, 256, 14, 2, 64, 1},   {256, 256, 5, 1, 64, 1},
                {256, 256, 7, 1, 128, 1},     {384, 256, 6, 1, 128, 1},   {256, 256, 12, 1, 64, 1},
                {256, 256, 4, 2, 256, 1},     {2048, 8192, 32, 8, 64, 1}, {1536, 256, 14, 2, 128, 1},
                {256, 256, 8, 2, 128, 1},     {512, 256, 16, 2, 64, 1},   {768, 256, 6, 1, 128, 1},
                {1536, 512, 12, 2, 128, 1},   {256, 256, 10, 2, 128, 1},  {2304, 256, 4, 4, 64, 1},
                {2304, 14336, 7, 1, 128, 1},  {256, 27648, 4, 2, 64, 1},  {4608, 512, 40, 8, 128, 1},
                {512, 768, 8, 2, 64, 3},      {256, 256, 4, 2, 64, 12},   {512, 1280, 8, 2, 128, 30},
                {1536, 512, 12, 2, 128, 64},  {256, 27648, 4, 2, 64, 64}, {4608, 512, 40, 8, 128, 9},
                {2304, 14336, 16, 4, 64, 40}, {768, 8960, 6, 1, 128, 33}, {512, 9728, 8, 2, 128, 70},
                {1536, 1024, 12, 2, 128, 150}};
  DmsPrecision precision = (DmsPrecision)GPOINTER_TO_INT(data);
  double short_of = precision == DMS_PRECISION_F32 ? 1e-3 : precision == DMS_PRECISION_BF16 ? 0.1 : 0.5;
  for (gsize s = 0; s < G_N_ELEMENTS(shapes); s++) {
    DmsModel *model = random_model(shapes[s].hidden, shapes[s].intermediate, shapes[s].heads, shapes[s].kv_heads,
                                   shapes[s].head_dim, 0.8);
    Agreement agreement;
    gboolean compared = compare_steps(model, precision, shapes[s].sequences, short_of, &agreement);
    dms_model_free(model);
    if (!compared) return;
    g_assert_cmpint(agreement.apart, <=, precision == DMS_PRECISION_F32 ? 0 : agreement.tokens / 100);
    g_assert_cmpuint(agreement.live_apart, ==, 0);
  }
}

/* Decisions that a query channel makes, shifted and not, with q and k norms, biases or neither. In bf16 a decision near
 * its threshold falls the other way now and then, and what follows attends to another mask. */
static void test_borrowed_steps(gconstpointer data) {
  static const RandomModel shapes[] = {
      {"qwen3", "qwen3", 256, 512, 3, 8, 2, 128, 300, .window = 12},
      {"qwen3", "qwen3", 256, 512, 3, 8, 2, 64, 300, .window = 20},
      {"qwen2", "qwen2", 512, 768, 3, 6, 1, 128, 300, .window = 9},
      {"llama", "llama", 512, 512, 3, 8, 1, 64, 300, .unshifted = TRUE, .keep_after_rope = TRUE, .window = 7},
  };
  DmsPrecision precision = (DmsPrecision)GPOINTER_TO_INT(data);
  gboolean exact = precision == DMS_PRECISION_F32;
  for (gsize s = 0; s < 2 * G_N_ELEMENTS(shapes); s++) {
    g_autoptr(GError) error = NULL;
    RandomModel shape = shapes[s / 2];
    shape.dtype = DMS_DTYPE_BF16, shape.source = DMS_SOURCE_BORROWED_Q;
    RandomFolder *folder = random_folder_new(&shape, (guint32)s);
    DmsModel *model = dms_model_open(folder->dir, &error);
    g_assert_no_error(error);
    Agreement agreement;
    gboolean compared = compare_steps(model, precision, s % 2 ? 20 : 1, exact ? 1e-3 : 0.2, &agreement);
    dms_model_free(model);
    random_folder_free(folder);
    if (!compared) return;
    g_assert_cmpint(agreement.apart, <=, exact ? 0 : agreement.tokens / 20);
    g_assert_cmpuint(agreement.live_apart, <=, exact ? 0 : agreement.live / 50);
  }
}

/* What was decided for a slot's last occupant does not reach the next one, also when that one is made up with fewer
 * items than the window holds. */
static void test_made_up_occupants(void) {
  enum { POSITION = 600, MOST = 300, LEAST = 5, STEPS = 20 };
  DmsModel *model = random_model(256, 256, 8, 2, 64, 0.9);
  int lists = model->config.layers * model->config.kv_heads;
  DmsBackendOptions options = options_for(model, DMS_PRECISION_BF16, 1, 64 << 20);
  DmsBackend *backend = open_or_skip(&options);
  g_autofree int32_t *live = g_new(int32_t, lists);
  for (int round = 0; backend && round < 2; round++) {
    g_autoptr(GError) error = NULL;
    int count = round ? LEAST : MOST;
    for (int i = 0; i < lists; i++) live[i] = count;
    ops->fill(backend, 0, POSITION, live, round ? 0 : 0.9, &error);
    g_assert_no_error(error);
    fork_slot(backend, 0, 0, &(DmsSampler){.temperature = 1, .top_p = 1});
    for (int i = 0; i < STEPS; i++) {
      DmsStepResult result = step_one(backend, (DmsStepEntry){.slot = 0, .index = i, .forced = -1});
      g_assert_cmpint(result.token, >=, 0);
      if (round) g_assert_cmpuint(result.live, ==, (guint64)lists * (LEAST + i));
    }
    ops->release(backend, 0);
  }
  if (backend) ops->close(backend);
  dms_model_free(model);
}

/* Generates `steps` tokens of `threads` sampled threads of one prompt in a pool of `kv_bytes`. A stalled thread, when
 * all that run are stalled, has another one preempted, which is replayed by forced tokens later: what the engine does.
 * Returns tokens [threads][steps]. */
static int32_t *generate(const DmsModel *model, DmsPrecision precision, gsize kv_bytes, int threads, int steps,
                         int *preemptions) {
  DmsBackendOptions options = options_for(model, precision, threads, kv_bytes);
  DmsBackend *backend = open_or_skip(&options);
  if (!backend) return NULL;
  int32_t prompt[40], *tokens = g_new0(int32_t, threads * steps);
  g_autofree int *have = g_new0(int, threads), *taken = g_new0(int, threads);
  g_autofree gboolean *running = g_new0(gboolean, threads);
  for (int i = 0; i < 40; i++) prompt[i] = (i * 31 + 5) % 512;
  *preemptions = 0;
  for (int left = threads, active = 0, hold = 0; left;) {
    for (int t = 0; t < threads; t++) { /* after a preemption nobody enters until somebody has left */
      if (running[t] || taken[t] == steps || (hold && active)) continue;
      uint64_t reads;
      if (!ops->prefill(backend, &(DmsPrefill){t, prompt, 40}, 1, &reads, NULL)) break;
      fork_slot(backend, t, t, &(DmsSampler){.temperature = 1, .top_p = 0.95f, .thread = (uint32_t)t, .key = 42});
      running[t] = TRUE, taken[t] = 0, active++;
    }
    g_autofree DmsStepEntry *entries = g_new(DmsStepEntry, threads);
    g_autofree DmsStepResult *results = g_new(DmsStepResult, threads);
    g_autoptr(GError) error = NULL;
    int n = 0, stalled = 0, victim = -1;
    for (int t = 0; t < threads; t++)
      if (running[t])
        entries[n++] = (DmsStepEntry){.slot = t,
                                      .index = taken[t],
                                      .forced = taken[t] < have[t] ? tokens[t * steps + taken[t]] : -1,
                                      .last = taken[t] == steps - 1};
    g_assert_cmpint(n, >, 0);
    ops->step(backend, entries, n, &error);
    g_assert_no_error(error);
    ops->collect(backend, results, &n, &error);
    g_assert_no_error(error);
    for (int i = 0; i < n; i++) {
      int t = results[i].slot;
      if (results[i].token == DMS_TOKEN_STALLED) {
        stalled++, victim = t;
        continue;
      }
      tokens[t * steps + taken[t]++] = results[i].token;
      have[t] = MAX(have[t], taken[t]);
      if (taken[t] < steps) continue;
      ops->release(backend, t), running[t] = FALSE, left--, active--, hold = 0;
    }
    if (!stalled || n == 1) continue;
    ops->release(backend, victim), running[victim] = FALSE, active--, hold = 1;
    ++*preemptions;
  }
  ops->close(backend);
  return tokens;
}

/* In fp8 too: a sequence that is run again brings the same items in the same order, and so to the same scales. */
static void test_preemption(gconstpointer data) {
  enum { THREADS = 6, STEPS = 300 };
  DmsPrecision precision = (DmsPrecision)GPOINTER_TO_INT(data);
  gsize element = precision == DMS_PRECISION_F32 ? 4 : precision == DMS_PRECISION_BF16 ? 2 : 1;
  gsize page_bytes = 2 * 64 * 16 * element + (element == 1 ? 128 : 0);
  /* A shape that takes the library's own products, which round alike for any number of rows. */
  DmsModel *model = random_model(128, 256, 8, 2, 16, 0.5);
  int preempted = 0, none = 0;
  g_autofree int32_t *want = generate(model, precision, 64 << 20, THREADS, STEPS, &none);
  if (want) {
    /* 3 layers, 2 heads, 4 pages each at the end: 24 pages a thread; 60 hold two and a half. */
    g_autofree int32_t *got = generate(model, precision, 60 * (page_bytes + 8), THREADS, STEPS, &preempted);
    g_assert_cmpint(none, ==, 0);
    g_assert_cmpint(preempted, >, 0);
    g_assert_cmpmem(got, THREADS * STEPS * sizeof *got, want, THREADS * STEPS * sizeof *want);
    g_test_message("%d preemptions, no token changed", preempted);
  }
  dms_model_free(model);
}

/* Threads of one prompt share its frozen pages, and each gives back what it holds. */
static void test_fork_shares_pages(void) {
  enum { LONG = 1000, THREADS = 4 };
  DmsModel *model = random_model(128, 256, 4, 2, 16, 0.5);
  DmsBackendOptions options = options_for(model, DMS_PRECISION_BF16, THREADS, 64 << 20);
  DmsBackend *backend = open_or_skip(&options);
  if (backend) {
    int32_t ids[LONG];
    DmsMemory one, all;
    for (int i = 0; i < LONG; i++) ids[i] = i % 512;
    prefill(backend, 0, ids, LONG);
    ops->memory(backend, &one);
    for (int t = THREADS - 1; t >= 0; t--)
      fork_slot(backend, 0, t, &(DmsSampler){.temperature = 1, .top_p = 1, .thread = (uint32_t)t, .key = 7});
    ops->memory(backend, &all);
    g_assert_cmpuint(all.bytes_used, <, 2 * one.bytes_used);
    for (int i = 0; i < 100; i++)
      for (int t = 0; t < THREADS; t++)
        g_assert_cmpint(step_one(backend, (DmsStepEntry){.slot = t, .index = i, .forced = -1}).token, >=, 0);
    for (int t = 0; t < THREADS; t++) ops->release(backend, t);
    ops->memory(backend, &all);
    g_assert_cmpuint(all.bytes_used, ==, 0);
    ops->close(backend);
  }
  dms_model_free(model);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  ops = dms_backend_cuda();
  static const struct {
    const char *name;
    DmsPrecision precision;
  } precisions[] = {{"f32", DMS_PRECISION_F32}, {"bf16", DMS_PRECISION_BF16}, {"fp8", DMS_PRECISION_FP8_KV}};
  for (gsize i = 0; i < G_N_ELEMENTS(precisions); i++) {
    g_autofree char *greedy = g_strconcat("/cuda/pocket-greedy/", precisions[i].name, NULL);
    g_autofree char *steps = g_strconcat("/cuda/steps-are-forward/", precisions[i].name, NULL);
    g_autofree char *preemption = g_strconcat("/cuda/preemption/", precisions[i].name, NULL);
    gpointer data = GINT_TO_POINTER(precisions[i].precision);
    g_test_add_data_func(greedy, data, test_pocket_greedy);
    g_test_add_data_func(steps, data, test_steps_are_forward);
    g_test_add_data_func(preemption, data, test_preemption);
    if (precisions[i].precision == DMS_PRECISION_FP8_KV) continue;
    g_autofree char *borrowed = g_strconcat("/cuda/borrowed-steps/", precisions[i].name, NULL);
    g_test_add_data_func(borrowed, data, test_borrowed_steps);
  }
  g_test_add_func("/cuda/made-up-occupants", test_made_up_occupants);
  g_test_add_func("/cuda/fork-shares-pages", test_fork_shares_pages);
  return g_test_run();
}
