/* The public functions of engine.h: a model, a backend, a scheduler and a tokenizer put together, and requests
 * checked. */
#include "engine/engine.h"

#include "engine/policy.h"
#include "engine/scheduler.h"

#include <math.h>
#include <string.h>

enum { MAX_SEQUENCES = 1 << 16, MAX_THREADS = 1024 };

struct DmsEngine {
  DmsModel *model;
  DmsModelInfo info;
  DmsTokenizer *tokenizer; /* NULL: the folder has none */
  const DmsBackendOps *ops;
  DmsBackend *backend;
  DmsBackendOptions backend_options;
  DmsScheduler *scheduler;
  double seconds_open;
  /* Of the step in hand: */
  DmsCompletionFunc done;
  gpointer user_data;
};

static const DmsBackendOps *find_backend(DmsDevice device, GError **error) {
  switch (device) {
  case DMS_DEVICE_CPU:
    return &dms_backend_cpu;
  case DMS_DEVICE_CUDA:
    return dms_backend_cuda();
  }
  g_set_error(error, DMS_ERROR, DMS_ERROR_DEVICE, "device %d is unknown", (int)device);
  return NULL;
}

gboolean dms_device_check(DmsDevice device, int device_index, GError **error) {
  const DmsBackendOps *ops = find_backend(device, error);
  return ops && ops->check(device_index, error);
}

/* A core is busy with far fewer sequences than a GPU, and their keys and values then stay in its caches. */
static int default_sequences(const DmsEngineOptions *options) {
  int threads = options->cpu_threads ? options->cpu_threads : (int)g_get_num_processors();
  return options->device == DMS_DEVICE_CPU ? CLAMP(32 * threads, 64, 256) : 256;
}

static gboolean check_options(const DmsEngineOptions *options, GError **error) {
  if (options->max_sequences < 0 || options->max_sequences > MAX_SEQUENCES) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "max_sequences is %d: it must be 0 (what suits the device) to %d",
                options->max_sequences, MAX_SEQUENCES);
    return FALSE;
  }
  if (options->cpu_threads < 0 || options->cpu_threads > MAX_THREADS) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "cpu_threads is %d: it must be 0 (all cores) to %d",
                options->cpu_threads, MAX_THREADS);
    return FALSE;
  }
  return TRUE;
}

/* A folder without tokenizer.json runs on token ids alone. */
static gboolean open_tokenizer(DmsEngine *engine, const char *dir, GError **error) {
  g_autofree char *path = g_build_filename(dir, "tokenizer.json", NULL);
  if (!g_file_test(path, G_FILE_TEST_EXISTS)) return TRUE;
  engine->tokenizer = dms_tokenizer_open(dir, error);
  return engine->tokenizer != NULL;
}

DmsEngine *dms_engine_open(const DmsEngineOptions *options, GError **error) {
  gint64 start = g_get_monotonic_time();
  if (!check_options(options, error)) return NULL;
  DmsEngine *engine = g_new0(DmsEngine, 1);
  int max_sequences = options->max_sequences ? options->max_sequences : default_sequences(options);
  engine->backend_options = (DmsBackendOptions){
      .precision = options->precision,
      .device_index = options->device_index,
      .max_sequences = dms_scheduler_slots(max_sequences),
      .cpu_threads = options->cpu_threads,
      .kv_bytes = options->kv_bytes,
  };
  if (!(engine->ops = find_backend(options->device, error)) ||
      !(engine->model = dms_model_open(options->model_dir, error)) ||
      !dms_model_info_read(options->model_dir, &engine->info, error) ||
      !open_tokenizer(engine, options->model_dir, error))
    goto failed;
  engine->backend_options.model = engine->model;
  if (!dms_policy_apply(&options->policy, &engine->backend_options, error) ||
      !(engine->backend = engine->ops->open(&engine->backend_options, error)))
    goto failed;
  engine->scheduler = dms_scheduler_new(engine->ops, engine->backend, &engine->backend_options, max_sequences);
  engine->seconds_open = (double)(g_get_monotonic_time() - start) / 1e6;
  return engine;
failed:
  dms_engine_close(engine);
  return NULL;
}

void dms_engine_close(DmsEngine *engine) {
  if (!engine) return;
  dms_scheduler_free(engine->scheduler);
  if (engine->backend) engine->ops->close(engine->backend);
  dms_tokenizer_free(engine->tokenizer);
  dms_model_info_clear(&engine->info);
  dms_model_free(engine->model);
  g_free(engine);
}

const DmsModelInfo *dms_engine_model(const DmsEngine *engine) {
  return &engine->info;
}
const DmsTokenizer *dms_engine_tokenizer(const DmsEngine *engine) {
  return engine->tokenizer;
}

/* ---- Requests ---- */

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error_literal(error, DMS_ERROR, DMS_ERROR_REQUEST, message);
  return FALSE;
}

static gboolean check_ids(const DmsEngine *engine, const int32_t *ids, int n, GError **error) {
  const DmsConfig *config = &engine->model->config;
  if (n < 1) return refuse(error, "%d tokens: at least 1 is needed", n);
  if (n > config->context) return refuse(error, "%d tokens exceed the model's context of %d", n, config->context);
  for (int i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= config->vocab)
      return refuse(error, "token %d is id %d: the model's ids are 0 to %d", i, ids[i], config->vocab - 1);
  return TRUE;
}

/* Whether a sequence of `tokens` can ever fit; where decisions matter the least that it needs is counted. */
static gboolean check_memory(const DmsEngine *engine, gint64 tokens, GError **error) {
  const DmsConfig *config = &engine->model->config;
  DmsMemory memory;
  engine->ops->memory(engine->backend, &memory);
  gint64 items = dms_policy_least_items(&engine->backend_options, tokens);
  guint64 pages = (guint64)((items + memory.page_items - 1) / memory.page_items) * config->layers * config->kv_heads;
  guint64 have = memory.bytes_total / memory.page_bytes;
  if (pages <= have) return TRUE;
  return refuse(error,
                "a sequence of %" G_GINT64_FORMAT " tokens needs %" G_GUINT64_FORMAT
                " pages of KV memory of %" G_GSIZE_FORMAT " bytes, and there are %" G_GUINT64_FORMAT
                ": give more kv_bytes or ask for fewer tokens",
                tokens, pages, memory.page_bytes, have);
}

gboolean dms_engine_submit(DmsEngine *engine, const DmsRequest *request, GError **error) {
  const DmsSampling *sampling = &request->sampling;
  int context = engine->model->config.context;
  if (!check_ids(engine, request->prompt, request->prompt_length, error)) return FALSE;
  if (request->threads < 1 || request->first_thread < 0 || request->first_thread > G_MAXINT - request->threads)
    return refuse(error, "threads %d from %d on: at least 1 from 0 on", request->threads, request->first_thread);
  if (request->max_new_tokens < 1 || request->max_new_tokens > context - request->prompt_length)
    return refuse(
        error,
        "a prompt of %d tokens and max_new_tokens %d: the model's context of %d tokens allows 1 to %d new tokens",
        request->prompt_length, request->max_new_tokens, context, context - request->prompt_length);
  if (!(sampling->temperature >= 0) || isinf(sampling->temperature))
    return refuse(error, "temperature %g: it must be 0 (greedy) or above", sampling->temperature);
  if (!(sampling->top_p > 0 && sampling->top_p <= 1))
    return refuse(error, "top_p %g: it must be above 0 and at most 1 (off)", sampling->top_p);
  if (sampling->top_k < 0) return refuse(error, "top_k %d: it must be 0 (off) or above", sampling->top_k);
  if (!check_memory(engine, (gint64)request->prompt_length + request->max_new_tokens - 1, error)) return FALSE;
  dms_scheduler_submit(engine->scheduler, request);
  return TRUE;
}

/* The scheduler's completion with its text. */
static void complete(const DmsCompletion *completion, gpointer data) {
  DmsEngine *engine = data;
  if (!engine->done) return;
  DmsCompletion whole = *completion;
  g_autofree char *text = NULL;
  if (engine->tokenizer)
    text = dms_tokenizer_decode(engine->tokenizer, completion->tokens, (gsize)completion->n_tokens,
                                DMS_DECODE_SKIP_SPECIAL, &whole.text_length);
  whole.text = text ? text : "";
  engine->done(&whole, engine->user_data);
}

gboolean dms_engine_step(DmsEngine *engine, DmsCompletionFunc done, gpointer user_data, GError **error) {
  engine->done = done, engine->user_data = user_data;
  return dms_scheduler_step(engine->scheduler, complete, engine, error);
}

int dms_engine_pending(const DmsEngine *engine) {
  return dms_scheduler_pending(engine->scheduler);
}

void dms_engine_stats(const DmsEngine *engine, DmsEngineStats *stats) {
  *stats = (DmsEngineStats){.seconds_open = engine->seconds_open};
  dms_scheduler_stats(engine->scheduler, stats);
  engine->ops->describe(engine->backend, stats->device, sizeof stats->device);
}

/* ---- Forward ---- */

gboolean dms_engine_forward(DmsEngine *engine, const int32_t *ids, int n, float *logits, uint8_t *flags, int32_t *live,
                            GError **error) {
  if (!check_ids(engine, ids, n, error) || !check_memory(engine, n, error) ||
      !engine->ops->forward(engine->backend, ids, n, logits, flags, live, error))
    return FALSE;
  int vocab = engine->model->config.vocab;
  for (gsize i = 0; logits && i < (gsize)n * vocab; i++)
    if (!isfinite(logits[i])) {
      g_set_error(error, DMS_ERROR, DMS_ERROR_NUMERIC, "position %d: the logit of id %d is %s", (int)(i / vocab),
                  (int)(i % vocab), isnan(logits[i]) ? "NaN" : "infinite");
      return FALSE;
    }
  return TRUE;
}
