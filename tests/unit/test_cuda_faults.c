/* What goes wrong on a GPU: memory that is not there, at the start and later, logits that are no numbers, a device that
 * fails in the middle of a run. Each ends in an error that names the place, no other sequence's tokens change, and
 * nothing hangs. */
#include "engine/engine.h"
#include "tests/unit/cuda_device.h"
#include "tests/unit/cuda_driver.h"
#include "tests/unit/random_model.h"

#define POCKET "datasets/pocket/models/pocket-reasoner-dms-4x"
#define GIB ((gsize)1 << 30)

static const RandomModel small = {
    "head_dim 64", "qwen3", 128, 256, 2, 4, 2, 64, 256, DMS_DTYPE_BF16, .source = DMS_SOURCE_BORROWED_Q, .window = 12};

static DmsEngineOptions engine_options(const char *dir, DmsPrecision precision, gsize kv_bytes) {
  return (DmsEngineOptions){.model_dir = dir,
                            .device = DMS_DEVICE_CUDA,
                            .policy = {.kind = DMS_POLICY_DMS},
                            .precision = precision,
                            .max_sequences = 16,
                            .kv_bytes = kv_bytes};
}

/* NULL after g_test_skip() where there is no device. */
static DmsEngine *open_engine(const DmsEngineOptions *options) {
  g_autoptr(GError) error = NULL;
  DmsEngine *engine = dms_engine_open(options, &error);
  if (!engine && g_error_matches(error, DMS_ERROR, DMS_ERROR_DEVICE))
    g_test_skip(error->message);
  else
    g_assert_no_error(error);
  return engine;
}

/* Runs the test that calls it again, in a process of its own; FALSE after g_test_skip(). */
static gboolean run_apart(void) {
  DmsEngineOptions options = engine_options(POCKET, DMS_PRECISION_AUTO, 8 << 20);
  DmsEngine *engine = open_engine(&options);
  if (!engine) return FALSE;
  dms_engine_close(engine);
  g_test_trap_subprocess(NULL, 60 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed();
  return TRUE;
}

/* ---- Memory ---- */

/* A pool larger than the device: refused with what is needed and what is free, and the device is none the worse. */
static void test_pool_too_large(void) {
  g_autoptr(GError) error = NULL;
  RandomModel shape = small;
  shape.layers = 24, shape.kv_heads = shape.heads = 16;
  RandomFolder *folder = random_folder_new(&shape, 1);
  DmsEngineOptions options = engine_options(folder->dir, DMS_PRECISION_BF16, 4096 * GIB);
  options.max_sequences = 4096; /* 1.6 TB, were all of them to reach the model's context */
  DmsEngine *engine = dms_engine_open(&options, &error);
  g_assert_null(engine);
  if (g_error_matches(error, DMS_ERROR, DMS_ERROR_DEVICE)) {
    g_test_skip(error->message);
  } else {
    g_assert_error(error, DMS_ERROR, DMS_ERROR_MEMORY);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, "KV pages"));
    g_assert_nonnull(strstr(error->message, "free"));
    options = engine_options(folder->dir, DMS_PRECISION_BF16, 8 << 20);
    g_assert_nonnull(engine = open_engine(&options));
    dms_engine_close(engine);
  }
  random_folder_free(folder);
}

enum { NAN_TOKEN = 250 }; /* whose embedding poison_token() breaks */

typedef struct {
  int ended, failed, led_there; /* led_there: failed after they sampled NAN_TOKEN themselves */
  GString *tokens[64];          /* by tag */
  char *message;                /* of the last that failed */
} Outcome;

static void keep(const DmsCompletion *completion, gpointer data) {
  Outcome *outcome = data;
  GString *text = g_string_new(NULL);
  for (int i = 0; i < completion->n_tokens; i++) g_string_append_printf(text, "%d ", completion->tokens[i]);
  outcome->tokens[GPOINTER_TO_INT(completion->tag)] = text;
  outcome->ended++;
  if (completion->finish != DMS_FINISH_ERROR) return;
  outcome->failed++;
  outcome->led_there += completion->n_tokens > 0 && completion->tokens[completion->n_tokens - 1] == NAN_TOKEN;
  g_free(outcome->message);
  outcome->message = g_strdup(completion->message);
}

static void clear_outcome(Outcome *outcome) {
  for (gsize i = 0; i < G_N_ELEMENTS(outcome->tokens); i++)
    if (outcome->tokens[i]) g_string_free(outcome->tokens[i], TRUE);
  g_free(outcome->message);
}

/* A prompt of ordinary ids, number `tag`; `last` is its last token unless it is negative. */
static void submit(DmsEngine *engine, int tag, int length, int tokens, int last) {
  g_autoptr(GError) error = NULL;
  g_autofree int32_t *prompt = g_new(int32_t, length);
  for (int i = 0; i < length; i++) prompt[i] = (tag * 37 + i * 11) % 200;
  if (last >= 0) prompt[length - 1] = last;
  DmsRequest request = {.prompt = prompt,
                        .prompt_length = length,
                        .threads = 1,
                        .max_new_tokens = tokens,
                        .sampling = {.temperature = 1, .top_p = 0.9f},
                        .seed = {.seed = 3, .task = "faults", .problem = "p"},
                        .tag = GINT_TO_POINTER(tag)};
  dms_engine_submit(engine, &request, &error);
  g_assert_no_error(error);
}

/* Everything else on the device is taken while the engine runs: it goes on with what it has, or says what it lacks. */
static void run_without_memory(void) {
  CudaDriver driver;
  DmsEngineOptions options = engine_options(POCKET, DMS_PRECISION_BF16, 8 << 20);
  DmsEngine *engine = open_engine(&options);
  g_assert_nonnull(engine);
  g_assert_true(cuda_driver_open(&driver));
  g_autoptr(GArray) taken = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  for (gsize bytes = 64 * GIB; bytes >= 1 << 20;) {
    uint64_t memory;
    if (driver.allocate(&memory, bytes) == 0)
      g_array_append_val(taken, memory);
    else
      bytes /= 2;
  }
  Outcome outcome = {0};
  g_autoptr(GError) error = NULL;
  for (int i = 0; i < 8; i++) submit(engine, i, 20, 30, -1);
  while (!error && dms_engine_pending(engine)) dms_engine_step(engine, keep, &outcome, &error);
  g_printerr("with no memory left: %d of 8 ended, %d failed, %s\n", outcome.ended, outcome.failed,
             error             ? error->message
             : outcome.message ? outcome.message
                               : "no error");
  if (error)
    g_assert_true(error->code == DMS_ERROR_MEMORY || error->code == DMS_ERROR_DEVICE);
  else
    g_assert_cmpint(outcome.ended, ==, 8);
  dms_engine_close(engine);
  for (guint i = 0; i < taken->len; i++) driver.release(g_array_index(taken, uint64_t, i));
  g_assert_nonnull(engine = open_engine(&options)); /* the device is as good as before */
  dms_engine_close(engine);
  clear_outcome(&outcome);
}

/* In a process of its own, since libraries that could not load a kernel may not try again. */
static void test_memory_taken(void) {
  if (g_test_subprocess())
    run_without_memory();
  else if (run_apart())
    g_test_trap_assert_stderr("*with no memory left*");
}

/* ---- Numbers ---- */

/* Makes one token's embedding NaN, in the file: it is the first tensor. */
static void poison_token(const RandomFolder *folder, int token) {
  g_autofree char *path = g_build_filename(folder->dir, "model.safetensors", NULL), *bytes = NULL;
  gsize size;
  uint64_t header;
  g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
  memcpy(&header, bytes, sizeof header);
  for (int i = 0; i < folder->shape.hidden; i++) {
    const uint16_t nan = 0x7FC0;
    memcpy(bytes + 8 + header + 2 * ((gsize)token * folder->shape.hidden + i), &nan, sizeof nan);
  }
  g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

/* Three of twelve prompts hold the token whose embedding is NaN. They fail, in a pool so small that the others then use
 * their pages, and the others do what they do without them. */
static void test_nan(gconstpointer data) {
  enum { REQUESTS = 12 };
  DmsPrecision precision = (DmsPrecision)GPOINTER_TO_INT(data);
  RandomFolder *folder = random_folder_new(&small, 5);
  poison_token(folder, NAN_TOKEN);
  Outcome outcome[2] = {0};
  DmsEngineOptions options = engine_options(folder->dir, precision, 1 << 20);
  options.max_sequences = 4;
  for (int with = 0; with < 2; with++) {
    g_autoptr(GError) error = NULL;
    DmsEngine *engine = open_engine(&options);
    if (!engine) goto skipped;
    for (int i = 0; i < REQUESTS; i++)
      if (with || i % 4) submit(engine, i, 70, 90, i % 4 ? -1 : NAN_TOKEN);
    while (dms_engine_pending(engine)) {
      dms_engine_step(engine, keep, &outcome[with], &error);
      g_assert_no_error(error);
    }
    dms_engine_close(engine);
  }
  g_test_message("%s", outcome[1].message);
  g_assert_cmpint(outcome[0].failed, ==, outcome[0].led_there);
  g_assert_cmpint(outcome[1].failed, ==, REQUESTS / 4 + outcome[1].led_there);
  g_assert_nonnull(strstr(outcome[1].message, "NaN or infinite"));
  for (int i = 0; i < REQUESTS; i++) {
    if (i % 4 == 0)
      g_assert_cmpuint(outcome[1].tokens[i]->len, ==, 0);
    else if (precision == DMS_PRECISION_F32) /* in bf16 cuBLAS rounds by the size of the batch */
      g_assert_cmpstr(outcome[1].tokens[i]->str, ==, outcome[0].tokens[i]->str);
  }
skipped:
  clear_outcome(&outcome[0]), clear_outcome(&outcome[1]);
  random_folder_free(folder);
}

/* ---- A lost device ---- */

/* A kernel that writes where there is nothing: the context is lost with it. */
static const char broken_kernel[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                                    ".visible .entry broken() {\n"
                                    "  .reg .b64 %a; .reg .b32 %x;\n"
                                    "  mov.u64 %a, 64; mov.u32 %x, 1; st.global.u32 [%a], %x; ret;\n}\n";

static void break_device(const CudaDriver *driver) {
  void *module, *function;
  g_assert_cmpint(driver->load(&module, broken_kernel), ==, 0);
  g_assert_cmpint(driver->find(&function, module, "broken"), ==, 0);
  g_assert_cmpint(driver->launch(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), ==, 0);
  driver->wait();
}

/* A process loses the device in the middle of a run: its next step says so and where, closing does not hang, and what
 * it tries to open then is refused. */
static void lose_device(void) {
  CudaDriver driver;
  g_autoptr(GError) error = NULL, again = NULL;
  DmsEngineOptions options = engine_options(POCKET, DMS_PRECISION_AUTO, 8 << 20);
  DmsEngine *engine = open_engine(&options);
  g_assert_nonnull(engine);
  g_assert_true(cuda_driver_open(&driver));
  Outcome outcome = {0};
  for (int i = 0; i < 8; i++) submit(engine, i, 20, 200, -1);
  for (int i = 0; i < 10; i++) dms_engine_step(engine, keep, &outcome, &error);
  g_assert_no_error(error);
  break_device(&driver);
  for (int i = 0; i < 3 && !error; i++) dms_engine_step(engine, keep, &outcome, &error);
  g_assert_error(error, DMS_ERROR, DMS_ERROR_DEVICE);
  g_printerr("%s\n", error->message);
  g_assert_nonnull(strstr(error->message, " at "));
  dms_engine_close(engine);
  g_assert_null(dms_engine_open(&options, &again));
  g_assert_error(again, DMS_ERROR, DMS_ERROR_DEVICE);
  clear_outcome(&outcome);
}

static void test_lost_device(void) {
  if (g_test_subprocess()) {
    lose_device();
    return;
  }
  if (run_apart()) g_test_trap_assert_stderr("*CUDA: * at *");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cuda/faults/pool-too-large", test_pool_too_large);
  g_test_add_func("/cuda/faults/memory-taken", test_memory_taken);
  g_test_add_data_func("/cuda/faults/nan/f32", GINT_TO_POINTER(DMS_PRECISION_F32), test_nan);
  g_test_add_data_func("/cuda/faults/nan/bf16", GINT_TO_POINTER(DMS_PRECISION_BF16), test_nan);
  g_test_add_data_func("/cuda/faults/nan/fp8", GINT_TO_POINTER(DMS_PRECISION_FP8_KV), test_nan);
  g_test_add_func("/cuda/faults/lost-device", test_lost_device);
  return g_test_run();
}
