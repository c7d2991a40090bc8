/* Measurements: the device's own rates, attention alone on given lengths, a step kernel by kernel, caches made up. */
#include "engine/cuda/device.h"

#include <string.h>

enum { ROUNDS = 9 };

gboolean dms_cuda_fill(DmsBackend *b, int slot, int position, const int32_t *live, double rate, GError **error) {
  int32_t failed = 0, *on_device = b->prompt_data;
  gsize pairs = (gsize)b->cache.layers * b->cache.kv_heads;
  g_assert(pairs <= 4 * (gsize)b->max_tokens);
  if (b->rule.decision == DMS_CUDA_RANDOM && b->rule.rate != (float)rate) {
    b->rule.rate = (float)rate;
    g_hash_table_remove_all(b->graphs); /* they hold the rule by value */
  }
  gsize element = b->cache.type == DMS_CUDA_E4M3 ? 1 : b->element;
  if (!b->noisy)
    TRY(dms_cuda_random(b->stream, b->cache.type, b->cache.pool, b->pages * b->cache.page_bytes / element, 1, 0, 1),
        "filling pages");
  b->noisy = TRUE;
  TRY(cudaMemsetAsync(b->failed, 0, sizeof *b->failed, b->stream), "filling a cache");
  TRY(cudaMemcpyAsync(on_device, live, pairs * sizeof *live, cudaMemcpyHostToDevice, b->stream), "filling a cache");
  TRY(dms_cuda_cache_fill(b->stream, &b->cache, slot, position, on_device, (float)rate, b->failed), "filling a cache");
  TRY(cudaMemcpyAsync(&failed, b->failed, sizeof failed, cudaMemcpyDeviceToHost, b->stream), "filling a cache");
  TRY(cudaStreamSynchronize(b->stream), "filling a cache");
  if (!failed) return TRUE;
  dms_cuda_cache_release(b->stream, &b->cache, slot);
  g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY, "no KV pages left to fill slot %d with a context of %d tokens", slot,
              position);
  return FALSE;
}

gboolean dms_cuda_profile(DmsBackend *b, const DmsStepEntry *entries, int n, GArray *kernels, GError **error) {
  b->profile = g_array_new(FALSE, FALSE, sizeof(DmsCudaMark));
  int bucket = dms_cuda_bucket(n), filled;
  g_autofree DmsStepResult *results = g_new(DmsStepResult, b->max_rows);
  /* The kernels wait behind a pause until all are queued, else the host's pace is what would be timed. */
  gboolean ok = dms_cuda_step_prepare(b, bucket, error) &&
                dms_cuda_check(dms_cuda_pause(b->stream, 8000000), "a pause", error) &&
                dms_cuda_step(b, entries, n, error);
  if (ok) dms_cuda_mark(b, NULL);
  ok = ok && dms_cuda_collect(b, results, &filled, error) &&
       dms_cuda_check(cudaStreamSynchronize(b->stream), "a timed step", error);
  GArray *marks = g_steal_pointer(&b->profile);
  for (guint i = 0; ok && i + 1 < marks->len; i++) {
    const DmsCudaMark *mark = &g_array_index(marks, DmsCudaMark, i), *next = mark + 1;
    float ms = 0;
    guint k = 0;
    if (cudaEventElapsedTime(&ms, mark->begin, next->begin) != cudaSuccess) continue;
    while (k < kernels->len && g_strcmp0(g_array_index(kernels, DmsKernelTime, k).name, mark->name)) k++;
    if (k == kernels->len) g_array_append_val(kernels, ((DmsKernelTime){.name = mark->name}));
    g_array_index(kernels, DmsKernelTime, k).launches++;
    g_array_index(kernels, DmsKernelTime, k).seconds += ms / 1e3;
  }
  for (guint i = 0; i < marks->len; i++) cudaEventDestroy(g_array_index(marks, DmsCudaMark, i).begin);
  g_array_unref(marks);
  return ok;
}

/* ---- Without a model ---- */

/* A stream, memory and events for a measurement of its own. */
typedef struct {
  cudaStream_t stream;
  cudaEvent_t event[2];
  GPtrArray *memory;
} Bench;

static gboolean bench_open(Bench *bench, int device_index, GError **error) {
  /* Memory stays with the process: what the driver gets back it clears in the background, for a second that would make
   * the next measurement a tenth slower. */
  uint64_t kept = UINT64_MAX;
  cudaMemPool_t pool;
  bench->memory = g_ptr_array_new();
  TRY(cudaSetDevice(device_index), "choosing the device");
  TRY(cudaDeviceGetDefaultMemPool(&pool, device_index), "memory to measure with");
  TRY(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), "memory to measure with");
  TRY(cudaStreamCreateWithFlags(&bench->stream, cudaStreamNonBlocking), "a stream to measure on");
  for (int i = 0; i < 2; i++) TRY(cudaEventCreate(&bench->event[i]), "an event to measure with");
  return TRUE;
}

static void bench_close(Bench *bench) {
  for (guint i = 0; i < bench->memory->len; i++) cudaFreeAsync(bench->memory->pdata[i], bench->stream);
  g_ptr_array_unref(bench->memory);
  if (bench->stream) cudaStreamSynchronize(bench->stream);
  for (int i = 0; i < 2; i++)
    if (bench->event[i]) cudaEventDestroy(bench->event[i]);
  if (bench->stream) cudaStreamDestroy(bench->stream);
}

static gboolean take(Bench *bench, gsize bytes, void *pointer, GError **error) {
  void *memory = NULL;
  TRY(cudaMallocAsync(&memory, MAX(bytes, 256), bench->stream), "memory to measure with");
  g_ptr_array_add(bench->memory, memory);
  *(void **)pointer = memory;
  TRY(cudaMemsetAsync(memory, 0, MAX(bytes, 256), bench->stream), "memory to measure with");
  return TRUE;
}

static gint compare_floats(gconstpointer a, gconstpointer b) {
  return *(const float *)a < *(const float *)b ? -1 : *(const float *)a > *(const float *)b;
}

/* Median seconds of `work`, after two runs that warm up. */
static gboolean median(Bench *bench, gboolean (*work)(void *, GError **), void *data, double *seconds, GError **error) {
  float ms[ROUNDS];
  for (int i = -2; i < ROUNDS; i++) {
    TRY(cudaEventRecord(bench->event[0], bench->stream), "timing");
    if (!work(data, error)) return FALSE;
    TRY(cudaEventRecord(bench->event[1], bench->stream), "timing");
    TRY(cudaEventSynchronize(bench->event[1]), "timing");
    if (i >= 0) TRY(cudaEventElapsedTime(&ms[i], bench->event[0], bench->event[1]), "timing");
  }
  qsort(ms, ROUNDS, sizeof *ms, compare_floats);
  *seconds = ms[ROUNDS / 2] / 1e3;
  return TRUE;
}

typedef struct {
  cudaStream_t stream;
  void *memory;
  gsize bytes;
  int *sink;
} Reading;

static gboolean read_once(void *data, GError **error) {
  Reading *reading = data;
  TRY(dms_cuda_read_memory(reading->stream, reading->memory, reading->bytes, reading->sink), "reading memory");
  return TRUE;
}

typedef struct {
  DmsGemm *gemm;
  DmsCudaLinear linear;
  void *x, *out;
} Multiplying;

static gboolean multiply_once(void *data, GError **error) {
  Multiplying *m = data;
  return dms_gemm_run(m->gemm, &m->linear, m->x, m->linear.n, DMS_GEMM_STORE, m->out, error);
}

static gboolean measure_rates(Bench *bench, double *read_bytes, double *matrix_flops, GError **error) {
  enum { SIDE = 8192 };
  gsize values = (gsize)SIDE * SIDE;
  Reading reading = {.stream = bench->stream, .bytes = (gsize)4 << 30};
  Multiplying m = {.linear = {.n = SIDE, .k = SIDE}};
  void *weight;
  double seconds;
  if (!take(bench, reading.bytes, &reading.memory, error) || !take(bench, sizeof(int), &reading.sink, error))
    return FALSE;
  TRY(dms_cuda_random(bench->stream, DMS_CUDA_BF16, reading.memory, reading.bytes / 2, 1, 0, 1), "random values");
  if (!median(bench, read_once, &reading, &seconds, error)) return FALSE;
  *read_bytes = reading.bytes / seconds;
  if (!take(bench, values * 2, &weight, error) || !take(bench, values * 2, &m.x, error) ||
      !take(bench, values * 2, &m.out, error))
    return FALSE;
  TRY(dms_cuda_random(bench->stream, DMS_CUDA_BF16, weight, values, 2, 0, 1), "random values");
  TRY(dms_cuda_random(bench->stream, DMS_CUDA_BF16, m.x, values, 3, 0, 1), "random values");
  m.linear.weight = weight;
  m.gemm = dms_gemm_new(DMS_CUDA_BF16, bench->stream, error);
  gboolean ok = m.gemm && dms_gemm_choose(m.gemm, &m.linear, m.x, SIDE, DMS_GEMM_STORE, m.out, 1, 0, error) &&
                median(bench, multiply_once, &m, &seconds, error);
  if (ok) *matrix_flops = 2.0 * SIDE * SIDE * SIDE / seconds;
  cudaStreamSynchronize(bench->stream);
  dms_gemm_free(m.gemm);
  return ok;
}

gboolean dms_cuda_rates(int device_index, double *read_bytes, double *matrix_flops, GError **error) {
  Bench bench = {0};
  gboolean ok = bench_open(&bench, device_index, error) && measure_rates(&bench, read_bytes, matrix_flops, error);
  bench_close(&bench);
  return ok;
}

typedef struct {
  cudaStream_t stream;
  DmsCudaRope rope;
  DmsCudaCache cache;
  DmsCudaRows rows;
  void *out, *scratch;
  cudaGraphExec_t graph;
} Attending;

static gboolean launch_graph(void *data, GError **error) {
  Attending *a = data;
  TRY(cudaGraphLaunch(a->graph, a->stream), "attention");
  return TRUE;
}

static gsize cache_element(const DmsAttentionCase *shape) {
  return shape->precision == DMS_PRECISION_FP8_KV ? 1 : 2;
}

/* Layers of the same lengths, each with pages of its own: as many as a model has or 40 GiB hold, so that the plan, made
 * once for all of them, has its usual share and no page is still in the L2. */
static int layers_for(const DmsAttentionCase *shape, gsize *pages) {
  *pages = 0;
  for (int i = 0; i < shape->batch * shape->kv_heads; i++)
    *pages += (shape->lengths[i] + DMS_CUDA_PAGE - 1) / DMS_CUDA_PAGE;
  gsize bytes = *pages * 2 * DMS_CUDA_PAGE * shape->head_dim * cache_element(shape);
  return (int)CLAMP(((gsize)40 << 30) / MAX(bytes, 1), 2, 36);
}

/* The free list in the disorder that it has after many steps of many sequences. */
static gboolean shuffle_pages(Bench *bench, int32_t *free_list, int n, GError **error) {
  g_autofree int32_t *page = g_new(int32_t, n);
  for (int i = 0; i < n; i++) page[i] = i;
  for (int i = n - 1; i > 0; i--) {
    int j = (int)(dms_philox(3, 0, (uint32_t)i) % (uint64_t)(i + 1));
    int32_t other = page[i];
    page[i] = page[j], page[j] = other;
  }
  TRY(cudaMemcpyAsync(free_list, page, (gsize)n * sizeof *page, cudaMemcpyHostToDevice, bench->stream), "page order");
  TRY(cudaStreamSynchronize(bench->stream), "page order");
  return TRUE;
}

static gboolean build_cache(Bench *bench, const DmsAttentionCase *shape, Attending *a, GError **error) {
  gsize pages;
  int lists = shape->batch * shape->kv_heads, layers = layers_for(shape, &pages), longest = 0, failed = 0;
  for (int i = 0; i < lists; i++) longest = MAX(longest, shape->lengths[i]);
  gboolean e4m3 = shape->precision == DMS_PRECISION_FP8_KV;
  a->cache = (DmsCudaCache){.type = e4m3 ? DMS_CUDA_E4M3 : DMS_CUDA_BF16,
                            .layers = layers,
                            .kv_heads = shape->kv_heads,
                            .head_dim = shape->head_dim,
                            .slots = shape->batch,
                            .max_pages = (longest + DMS_CUDA_PAGE - 1) / DMS_CUDA_PAGE,
                            .page_bytes = 2 * (gsize)DMS_CUDA_PAGE * shape->head_dim * cache_element(shape) +
                                          (e4m3 ? DMS_CUDA_PAGE_HEAD : 0)};
  pages *= layers;
  gsize all = (gsize)layers * lists, scratch;
  a->rows.rows = shape->batch;
  const DmsCudaHeads *heads = &a->rope.heads;
  gsize qkv = (gsize)shape->batch * heads->stride;
  float2 *turn;
  TRY(dms_cuda_decode_attention_plan(heads, a->cache.type, &a->rows.parts, &scratch), "planning attention");
  int32_t *flag, *live;
  struct {
    void *pointer;
    gsize bytes;
  } want[] = {
      {&a->cache.pool, pages * a->cache.page_bytes},
      {&a->cache.table, all * a->cache.max_pages * 4},
      {&a->cache.count, all * 4},
      {&a->cache.frozen, all * 4},
      {&a->cache.users, pages * 4},
      {&a->cache.free_list, pages * 4},
      {&a->cache.free_count, 4},
      {&a->cache.position, shape->batch * 4},
      {&a->cache.live, shape->batch * 8},
      {&a->rows.slots, shape->batch * 4},
      {&a->rows.positions, shape->batch * 4},
      {&a->rows.lists, all * sizeof(DmsCudaList)},
      {&a->rows.shares, (gsize)layers * a->rows.parts * sizeof(DmsCudaShare)},
      {&a->scratch, scratch},
      {&a->rope.qkv, qkv * 2},
      {&turn, shape->head_dim / 2 * sizeof *turn},
      {&a->out, (gsize)shape->batch * heads->heads * shape->head_dim * 2},
      {&flag, 4},
      {&live, all * 4},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(want); i++)
    if (!take(bench, want[i].bytes, want[i].pointer, error)) return FALSE;
  TRY(dms_cuda_random(bench->stream, a->cache.type, a->cache.pool, pages * a->cache.page_bytes / cache_element(shape),
                      1, 0, 1),
      "random keys and values");
  TRY(dms_cuda_random(bench->stream, DMS_CUDA_BF16, a->rope.qkv, qkv, 2, 0, 1), "random queries");
  TRY(dms_cuda_random(bench->stream, DMS_CUDA_F32, turn, shape->head_dim, 3, 0, 1), "a rotation");
  a->rope.rope = turn; /* every row is at position 0 */
  TRY(dms_cuda_cache_reset(bench->stream, &a->cache, (int)pages), "setting up pages");
  if (!shuffle_pages(bench, a->cache.free_list, (int)pages, error)) return FALSE;
  g_autofree int32_t *slots = g_new(int32_t, shape->batch), *lengths = g_new(int32_t, all);
  g_autofree DmsCudaList *list = g_new(DmsCudaList, all);
  /* A layer's lists lie by row, a slot's by layer. */
  for (int row = 0; row < shape->batch; row++) {
    slots[row] = row;
    for (int layer = 0; layer < layers; layer++)
      for (int head = 0; head < shape->kv_heads; head++)
        lengths[layer * shape->kv_heads + head] = shape->lengths[row * shape->kv_heads + head];
    TRY(cudaMemcpyAsync(live, lengths, (gsize)layers * shape->kv_heads * 4, cudaMemcpyHostToDevice, bench->stream),
        "lengths");
    TRY(dms_cuda_cache_fill(bench->stream, &a->cache, row, longest, live, 0, flag), "filling pages");
    TRY(cudaStreamSynchronize(bench->stream), "filling pages");
  }
  for (gsize i = 0; i < all; i++) {
    int length = shape->lengths[i % lists];
    list[i] = (DmsCudaList){.slot = (int)(i % lists / shape->kv_heads), .length = length, .arriving = length - 1};
  }
  TRY(cudaMemcpyAsync(a->rows.lists, list, all * sizeof *list, cudaMemcpyHostToDevice, bench->stream), "lists");
  TRY(cudaMemcpyAsync(a->rows.slots, slots, shape->batch * 4, cudaMemcpyHostToDevice, bench->stream), "slots");
  TRY(cudaMemcpyAsync(&failed, flag, 4, cudaMemcpyDeviceToHost, bench->stream), "filling pages");
  TRY(cudaStreamSynchronize(bench->stream), "filling pages");
  g_assert(!failed);
  return TRUE;
}

static gboolean record_attention(Bench *bench, Attending *a, GError **error) {
  cudaGraph_t graph = NULL;
  TRY(cudaStreamBeginCapture(bench->stream, cudaStreamCaptureModeThreadLocal), "recording attention");
  cudaError_t status = a->rows.parts ? dms_cuda_plan_shares(bench->stream, &a->cache, &a->rows) : cudaSuccess;
  for (a->rope.layer = 0; status == cudaSuccess && a->rope.layer < a->cache.layers; a->rope.layer++)
    status = dms_cuda_decode_attention(bench->stream, &a->rope, &a->cache, &a->rows, a->out, a->scratch);
  cudaError_t ended = cudaStreamEndCapture(bench->stream, &graph);
  TRY(status, "attention");
  TRY(ended, "recording attention");
  ended = cudaGraphInstantiate(&a->graph, graph, 0);
  cudaGraphDestroy(graph);
  TRY(ended, "recording attention");
  return TRUE;
}

gboolean dms_cuda_attention(int device_index, const DmsAttentionCase *shape, double *seconds, GError **error) {
  Bench bench = {0};
  int heads = shape->group * shape->kv_heads;
  Attending a = {.rope.heads = {.type = DMS_CUDA_BF16,
                                .heads = heads,
                                .kv_heads = shape->kv_heads,
                                .group = shape->group,
                                .head_dim = shape->head_dim,
                                .stride = (heads + 2 * shape->kv_heads) * shape->head_dim,
                                .scale = 0.08f}};
  gboolean ok = bench_open(&bench, device_index, error);
  a.stream = bench.stream;
  ok = ok && build_cache(&bench, shape, &a, error) && record_attention(&bench, &a, error) &&
       median(&bench, launch_graph, &a, seconds, error);
  if (ok) *seconds /= a.cache.layers;
  if (a.graph) cudaGraphExecDestroy(a.graph);
  bench_close(&bench);
  return ok;
}
