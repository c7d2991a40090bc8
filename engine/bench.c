/* dms_bench_*: decode, prefill and attention timed against the device's own limit. Drives a backend by its table,
 * without the batch loop. */
#include "engine/backend.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { WARM_STEPS = 6, RECENT_LEAST = 16, PREFILL_RUNS = 3 };

struct DmsBench {
  DmsModel *model;
  const DmsBackendOps *ops;
  DmsBackend *backend;
  DmsBenchInfo info;
  int max_batch;
};

static double seconds_now(void) {
  return g_get_monotonic_time() / 1e6;
}

static void describe_model(DmsBench *bench, DmsPrecision precision) {
  const DmsConfig *c = &bench->model->config;
  gboolean cpu = bench->ops == &dms_backend_cpu; /* which keeps bf16 weights as they are, and keys and values in f32 */
  gsize element = cpu || precision == DMS_PRECISION_F32 ? 4 : 2, item = precision == DMS_PRECISION_FP8_KV ? 1 : element;
  gsize weight = cpu && bench->model->embed->dtype == DMS_DTYPE_BF16 ? 2 : element;
  double attention = (double)c->hidden * c->head_dim * (2 * c->heads + 2 * c->kv_heads);
  double values = c->layers * (attention + 3.0 * c->hidden * c->intermediate) + (double)c->vocab * c->hidden;
  bench->info.weight_bytes = (gsize)values * weight;
  bench->info.flops_token = 2 * values;
  bench->info.item_bytes = 2 * c->head_dim * item;
}

DmsBench *dms_bench_open(const DmsBenchOptions *options, GError **error) {
  DmsBench *bench = g_new0(DmsBench, 1);
  double start = seconds_now();
  bench->ops = options->device == DMS_DEVICE_CUDA ? dms_backend_cuda() : &dms_backend_cpu;
  bench->max_batch = MAX(options->max_batch, 1);
  bench->model = options->model_dir ? dms_model_open(options->model_dir, error)
                                    : dms_model_open_random(options->config_path, options->evict_rate, error);
  if (!bench->model) goto failed;
  DmsConfig *c = &bench->model->config;
  if (options->max_context > c->context) {
    g_set_error(
        error, DMS_ERROR, DMS_ERROR_REQUEST,
        "the model has %d positions, of which %d would be needed; take shorter contexts and prompts, or fewer steps",
        c->context, options->max_context);
    goto failed;
  }
  if (options->max_context > 0) c->context = options->max_context;
  DmsRule rule = c->dms;
  if (bench->model->random && rule.source == DMS_SOURCE_NONE) /* plain shapes: as the paper's models were retrofitted */
    rule = (DmsRule){
        .source = DMS_SOURCE_BORROWED_Q, .shift = 1, .rezero = TRUE, .window = 256, .scale = 100, .offset = 5};
  DmsBackendOptions backend_options = {.model = bench->model,
                                       .rule = rule,
                                       .window_sinks = -1,
                                       .precision = options->precision,
                                       .device_index = options->device_index,
                                       .cpu_threads = options->cpu_threads,
                                       .max_sequences = bench->max_batch};
  if (bench->ops->rates &&
      !bench->ops->rates(options->device_index, &bench->info.read_rate, &bench->info.matrix_rate, error))
    goto failed;
  start = seconds_now();
  if (!(bench->backend = bench->ops->open(&backend_options, error))) goto failed;
  bench->info.seconds_open = seconds_now() - start;
  bench->ops->describe(bench->backend, bench->info.device, sizeof bench->info.device);
  describe_model(bench, options->precision);
  return bench;
failed:
  dms_bench_close(bench);
  return NULL;
}

void dms_bench_close(DmsBench *bench) {
  if (!bench) return;
  if (bench->backend) bench->ops->close(bench->backend);
  dms_model_free(bench->model);
  g_free(bench);
}

const DmsBenchInfo *dms_bench_info(const DmsBench *bench) {
  return &bench->info;
}

/* Live items of each list of a sequence, context / cr on average and as uneven as trained decisions leave them:
 * log-normal, a standard deviation of about 0.9 in the logarithm. */
static void draw_live(int sequence, int lists, int context, double cr, int32_t *live) {
  g_autofree double *weight = g_new(double, lists);
  double sum = 0;
  for (int i = 0; i < lists; i++) {
    uint64_t bits = dms_philox(1, (uint32_t)sequence, (uint32_t)i);
    double normal = -6;
    for (int part = 0; part < 12; part++) normal += (double)(bits >> (5 * part) & 31) / 31;
    sum += weight[i] = cr > 1 ? exp(0.9 * normal) : 1;
  }
  for (int i = 0; i < lists; i++)
    live[i] = (int32_t)CLAMP(weight[i] / sum * lists * context / MAX(cr, 1), MIN(RECENT_LEAST, context), context);
}

static int32_t *random_ids(int n, int vocab, uint32_t stream) {
  int32_t *ids = g_new(int32_t, n);
  for (int i = 0; i < n; i++) ids[i] = (int32_t)(dms_philox(2, stream, (uint32_t)i) % (uint64_t)vocab);
  return ids;
}

static gboolean start_sequence(DmsBench *bench, int slot, int context, double cr, GError **error) {
  const DmsConfig *c = &bench->model->config;
  const DmsSampler sampler = {.temperature = 0.6f, .top_p = 0.95f, .thread = (uint32_t)slot, .key = 1};
  if (bench->ops->fill) {
    int lists = c->layers * c->kv_heads;
    g_autofree int32_t *live = g_new(int32_t, lists);
    draw_live(slot, lists, context, cr, live);
    if (!bench->ops->fill(bench->backend, slot, context, live, 1 - 1 / MAX(cr, 1), error)) return FALSE;
  } else {
    uint64_t reads;
    g_autofree int32_t *ids = random_ids(context, c->vocab, (uint32_t)slot);
    if (!bench->ops->prefill(bench->backend, &(DmsPrefill){slot, ids, context}, 1, &reads, error)) return FALSE;
  }
  return bench->ops->fork(bench->backend, slot, slot, &sampler, error);
}

/* `n` steps of all sequences from token `index` on, as many under way as the backend allows. `*live` is that of the
 * last. */
static gboolean run_steps(DmsBench *bench, DmsStepEntry *entries, int batch, int index, int n, double *live,
                          GError **error) {
  g_autofree DmsStepResult *results = g_new(DmsStepResult, bench->max_batch);
  for (int issued = 0, collected = 0, filled; collected < n;) {
    if (issued < n && issued - collected <= bench->ops->latency) {
      for (int i = 0; i < batch; i++) entries[i] = (DmsStepEntry){.slot = i, .index = index + issued, .forced = -1};
      if (!bench->ops->step(bench->backend, entries, batch, error)) return FALSE;
      issued++;
      continue;
    }
    if (!bench->ops->collect(bench->backend, results, &filled, error)) return FALSE;
    collected++;
    *live = 0;
    for (int i = 0; i < filled; i++) {
      if (results[i].token == DMS_TOKEN_INVALID) {
        g_set_error(error, DMS_ERROR, DMS_ERROR_DEVICE, "slot %d, step %d: the logits are not numbers", entries[i].slot,
                    index + collected - 1);
        return FALSE;
      }
      if (results[i].token == DMS_TOKEN_STALLED) {
        g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY,
                    "KV memory ran out while steps were timed; take a smaller batch or context");
        return FALSE;
      }
      *live += results[i].live;
    }
  }
  return TRUE;
}

static gboolean profile(DmsBench *bench, DmsStepEntry *entries, int batch, int index, DmsBenchDecode *out,
                        GError **error) {
  if (!bench->ops->profile) return TRUE;
  g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(DmsKernelTime));
  for (int i = 0; i < batch; i++) entries[i] = (DmsStepEntry){.slot = i, .index = index, .forced = -1};
  if (!bench->ops->profile(bench->backend, entries, batch, times, error)) return FALSE;
  out->kernels = g_array_new(FALSE, FALSE, sizeof(DmsBenchKernel));
  for (guint i = 0; i < times->len; i++) {
    const DmsKernelTime *time = &g_array_index(times, DmsKernelTime, i);
    DmsBenchKernel kernel = {time->name, time->launches, time->seconds};
    g_array_append_val(out->kernels, kernel);
  }
  return TRUE;
}

static gboolean time_steps(DmsBench *bench, DmsBenchDecode *out, GError **error) {
  const DmsConfig *c = &bench->model->config;
  g_autofree DmsStepEntry *entries = g_new(DmsStepEntry, out->batch);
  double live, seconds, lists = (double)c->layers * c->kv_heads;
  if (!run_steps(bench, entries, out->batch, 0, WARM_STEPS, &live, error)) return FALSE;
  seconds = seconds_now();
  if (!run_steps(bench, entries, out->batch, WARM_STEPS, out->steps, &live, error)) return FALSE;
  out->seconds_step = (seconds_now() - seconds) / out->steps;
  out->tokens_per_second = out->batch / out->seconds_step;
  out->live = live / lists / out->batch;
  DmsMemory memory;
  bench->ops->memory(bench->backend, &memory);
  out->kv_bytes = memory.bytes_used;
  double kv = live * bench->info.item_bytes;
  out->bytes_step = bench->info.weight_bytes + kv;
  if (bench->info.read_rate > 0 && bench->info.matrix_rate > 0)
    out->ceiling_seconds =
        kv / bench->info.read_rate + MAX(bench->info.weight_bytes / bench->info.read_rate,
                                         out->batch * bench->info.flops_token / bench->info.matrix_rate);
  out->share = out->ceiling_seconds / out->seconds_step;
  return profile(bench, entries, out->batch, WARM_STEPS + out->steps, out, error);
}

gboolean dms_bench_decode(DmsBench *bench, int batch, int context, double cr, int steps, DmsBenchDecode *out,
                          GError **error) {
  *out = (DmsBenchDecode){.batch = batch, .context = context, .steps = steps, .cr = cr};
  int most = bench->model->config.context - WARM_STEPS - steps - 1, started = 0;
  if (batch < 1 || batch > bench->max_batch || context < 1 || steps < 1 || context > most) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST,
                "batch %d (allowed: 1 to %d), context %d (1 to %d), %d steps (1 or more)", batch, bench->max_batch,
                context, most, steps);
    return FALSE;
  }
  gboolean ok = TRUE;
  for (; ok && started < batch; started++) ok = start_sequence(bench, started, context, cr, error);
  ok = ok && time_steps(bench, out, error);
  for (int slot = 0; slot < started; slot++) bench->ops->release(bench->backend, slot);
  return ok;
}

/* Score and value products of causal attention over a prompt, nothing masked. */
static double attention_flops(const DmsConfig *c, int length) {
  return 4.0 * c->layers * c->heads * c->head_dim * length * (length + 1.0) / 2;
}

static gint compare_doubles(gconstpointer a, gconstpointer b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

gboolean dms_bench_prefill(DmsBench *bench, int batch, int length, DmsBenchPrefill *out, GError **error) {
  const DmsConfig *c = &bench->model->config;
  *out = (DmsBenchPrefill){.batch = batch, .length = length};
  if (batch < 1 || batch > bench->max_batch || length < 1 || length > c->context) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "%d prompts (allowed: 1 to %d) of %d tokens (1 to %d)", batch,
                bench->max_batch, length, c->context);
    return FALSE;
  }
  g_autofree int32_t *ids = random_ids(length, c->vocab, 0);
  g_autofree DmsPrefill *prompts = g_new(DmsPrefill, batch);
  g_autofree uint64_t *reads = g_new(uint64_t, batch);
  double seconds[PREFILL_RUNS];
  for (int i = 0; i < batch; i++) prompts[i] = (DmsPrefill){i, ids, length};
  for (int run = -1; run < PREFILL_RUNS; run++) { /* the first one warms up */
    double start = seconds_now();
    if (!bench->ops->prefill(bench->backend, prompts, batch, reads, error)) return FALSE;
    if (run >= 0) seconds[run] = seconds_now() - start;
    for (int i = 0; i < batch; i++) bench->ops->release(bench->backend, i);
  }
  qsort(seconds, PREFILL_RUNS, sizeof *seconds, compare_doubles);
  out->seconds = seconds[PREFILL_RUNS / 2];
  out->tokens_per_second = (double)batch * length / out->seconds;
  double head = 2.0 * c->vocab * c->hidden; /* only the last token's logits are computed */
  out->flops = batch * (length * (bench->info.flops_token - head) + head + attention_flops(c, length));
  if (bench->info.matrix_rate > 0) out->share = out->flops / out->seconds / bench->info.matrix_rate;
  return TRUE;
}

/* ---- Attention on the lengths of a file ---- */

static gboolean bad_line(const char *path, int line, const char *what, GError **error) {
  g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "%s:%d: %s; a line is name|head_dim|group|batch|kv_heads|lengths",
              path, line, what);
  return FALSE;
}

static gboolean parse_number(const char *text, gint64 most, int *out) {
  gint64 value;
  if (!g_ascii_string_to_signed(g_strstrip((char *)text), 10, 1, most, &value, NULL)) return FALSE;
  *out = (int)value;
  return TRUE;
}

/* Fills all of `out` but what is measured, and `*lengths` [batch * kv_heads]. */
static gboolean parse_case(const char *path, int number, const char *line, DmsBenchAttention *out, int32_t **lengths,
                           GError **error) {
  g_auto(GStrv) field = g_strsplit(line, "|", 6);
  if (g_strv_length(field) != 6) return bad_line(path, number, "not six fields", error);
  if (!parse_number(field[1], 256, &out->head_dim) || !parse_number(field[2], 64, &out->group) ||
      !parse_number(field[3], 4096, &out->batch) || !parse_number(field[4], 256, &out->kv_heads))
    return bad_line(path, number, "a shape that is no number or out of range", error);
  int n = out->batch * out->kv_heads, filled = 0;
  g_autofree int32_t *list = g_new(int32_t, n);
  g_auto(GStrv) value = g_strsplit_set(g_strstrip(field[5]), " \t", -1);
  for (int i = 0; value[i]; i++) {
    if (!*value[i]) continue;
    if (filled == n) return bad_line(path, number, "more lengths than batch * kv_heads", error);
    if (!parse_number(value[i], 1 << 24, &list[filled]))
      return bad_line(path, number, "a length that is no number or out of range", error);
    out->items += (uint64_t)list[filled++];
  }
  if (filled < n) return bad_line(path, number, "fewer lengths than batch * kv_heads", error);
  out->name = g_strdup(field[0]);
  *lengths = g_steal_pointer(&list);
  return TRUE;
}

static void clear_attention(gpointer p) {
  g_free(((DmsBenchAttention *)p)->name);
}

GArray *dms_bench_attention(const DmsBenchOptions *options, const char *path, GError **error) {
  const DmsBackendOps *ops = options->device == DMS_DEVICE_CUDA ? dms_backend_cuda() : &dms_backend_cpu;
  int device_index = options->device_index, element = options->precision == DMS_PRECISION_FP8_KV ? 1 : 2;
  double read_rate, matrix_rate;
  g_autofree char *text = NULL;
  if (!ops->attention) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "device %s does not time attention alone; --device cuda does",
                ops->name);
    return NULL;
  }
  if (options->precision == DMS_PRECISION_F32) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "attention alone is timed in bf16 or fp8, not in f32");
    return NULL;
  }
  if (!g_file_get_contents(path, &text, NULL, error) || !ops->rates(device_index, &read_rate, &matrix_rate, error))
    return NULL;
  g_auto(GStrv) line = g_strsplit(text, "\n", -1);
  g_autoptr(GArray) out = g_array_new(FALSE, TRUE, sizeof(DmsBenchAttention));
  g_array_set_clear_func(out, clear_attention);
  for (int i = 0; line[i]; i++) {
    if (!*g_strstrip(line[i])) continue;
    DmsBenchAttention result = {0};
    g_autofree int32_t *lengths = NULL;
    if (!parse_case(path, i + 1, line[i], &result, &lengths, error)) return NULL;
    g_array_append_val(out, result);
    DmsBenchAttention *last = &g_array_index(out, DmsBenchAttention, out->len - 1);
    DmsAttentionCase shape = {options->precision, last->head_dim, last->group, last->batch, last->kv_heads, lengths};
    if (!ops->attention(device_index, &shape, &last->seconds, error)) return NULL;
    last->read_rate = last->items * 2.0 * element * last->head_dim / last->seconds;
    last->share = last->read_rate / read_rate;
  }
  return g_steal_pointer(&out);
}
