/* Weights from disk into their final place on the device, each value touched once: worker threads read blocks into
 * pinned buffers and copy them to where they belong. q, k, v lie as one matrix, gate and up as another. */
#include "engine/cuda/device.h"

#include <string.h>

/* Bytes of a pinned buffer, two a thread: pinning is what a larger one costs, one thread at a time. */
#define BLOCK ((gsize)2 << 20)
enum { MOST_THREADS = 16, ALIGNMENT = 256 };

/* A run of rows on its way. */
typedef struct {
  const DmsTensor *tensor;
  int64_t first, rows;
  char *to;
  gboolean wide; /* float even where weights are bf16 */
} Job;

typedef struct {
  DmsBackend *backend;
  GArray *jobs; /* of Job */
  int next;     /* atomic */
  GMutex mutex;
  GError *error; /* the first */
} Loader;

/* Places matrices and vectors one after another; with a NULL base it only counts. */
typedef struct {
  char *base;
  gsize used;
} Arena;

static void *place(Arena *arena, gsize bytes) {
  gsize at = arena->used;
  arena->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return arena->base ? arena->base + at : NULL;
}

static int64_t columns_of(const DmsTensor *tensor) {
  return tensor->rank == 2 ? tensor->shape[1] : tensor->shape[0];
}
static int64_t rows_of(const DmsTensor *tensor) {
  return tensor->rank == 2 ? tensor->shape[0] : 1;
}

static gsize bytes_of(const Loader *loader, const Job *job) {
  return (gsize)columns_of(job->tensor) * job->rows * (job->wide ? sizeof(float) : loader->backend->element);
}

/* Queues `tensor` for `to`, which it fills without a gap. Returns what follows it. */
static char *fetch(Loader *loader, const DmsTensor *tensor, char *to, gboolean wide) {
  gsize row = (gsize)columns_of(tensor) * (wide ? sizeof(float) : loader->backend->element);
  int64_t most = MAX((int64_t)(BLOCK / row), 1);
  for (int64_t first = 0; first < rows_of(tensor); first += most) {
    Job job = {tensor, first, MIN(most, rows_of(tensor) - first), to + first * row, wide};
    g_array_append_val(loader->jobs, job);
  }
  return to + rows_of(tensor) * row;
}

/* A matrix made of `parts` one below the other, and its bias if they have one. */
static DmsCudaLinear place_linear(Loader *loader, Arena *arena, const DmsTensor *const *parts,
                                  const DmsTensor *const *biases, int n_parts, gboolean wide_bias) {
  DmsCudaLinear linear = {.k = (int)columns_of(parts[0])};
  for (int i = 0; i < n_parts; i++) linear.n += (int)rows_of(parts[i]);
  gsize bias_element = wide_bias ? sizeof(float) : loader->backend->element;
  char *weight = place(arena, (gsize)linear.n * linear.k * loader->backend->element);
  char *bias = biases[0] ? place(arena, linear.n * bias_element) : NULL;
  linear.weight = weight, linear.bias = bias;
  for (int i = 0; arena->base && i < n_parts; i++) {
    weight = fetch(loader, parts[i], weight, FALSE);
    if (bias) bias = fetch(loader, biases[i], bias, wide_bias);
  }
  return linear;
}

static float *place_vector(Loader *loader, Arena *arena, const DmsTensor *tensor) {
  if (!tensor) return NULL;
  float *to = place(arena, columns_of(tensor) * sizeof(float));
  if (to) fetch(loader, tensor, (char *)to, TRUE);
  return to;
}

static void place_layer(Loader *loader, Arena *arena, const DmsLayer *from, DmsCudaLayer *to) {
  to->qkv = place_linear(loader, arena, (const DmsTensor *[]){from->q, from->k, from->v},
                         (const DmsTensor *[]){from->q_bias, from->k_bias, from->v_bias}, 3, FALSE);
  to->o = place_linear(loader, arena, &from->o, &from->o_bias, 1, TRUE);
  to->gate_up = place_linear(loader, arena, (const DmsTensor *[]){from->gate, from->up},
                             (const DmsTensor *[]){from->gate_bias, from->up_bias}, 2, FALSE);
  to->down = place_linear(loader, arena, &from->down, &from->down_bias, 1, TRUE);
  to->input_norm = place_vector(loader, arena, from->input_norm);
  to->post_norm = place_vector(loader, arena, from->post_norm);
  to->q_norm = place_vector(loader, arena, from->q_norm);
  to->k_norm = place_vector(loader, arena, from->k_norm);
  if (!from->alpha) return;
  to->adapter = place(arena, rows_of(from->alpha) * columns_of(from->alpha) * sizeof(float));
  to->adapter_bias = place_vector(loader, arena, from->alpha_bias);
}

/* Lays out the whole model; the bytes of one layer are the same for all. */
static void place_model(Loader *loader, Arena *arena) {
  DmsBackend *b = loader->backend;
  const DmsModel *model = b->options.model;
  DmsCudaWeights *w = &b->weights;
  const DmsTensor *none = NULL;
  for (int i = 0; i < b->config->layers; i++) {
    gsize before = arena->used;
    place_layer(loader, arena, &model->layer[i], &w->layer[i]);
    w->layer_bytes = arena->used - before;
  }
  DmsCudaLinear embed = place_linear(loader, arena, &model->embed, &none, 1, FALSE);
  w->embed = (void *)embed.weight;
  w->head = model->head == model->embed ? embed : place_linear(loader, arena, &model->head, &none, 1, FALSE);
  w->norm = place_vector(loader, arena, model->norm);
}

/* The adapter's norm is folded into its projection: both act on the same normalised vector. */
static gboolean load_adapter(DmsBackend *backend, const DmsLayer *from, const DmsCudaLayer *to, GError **error) {
  const DmsModel *model = backend->options.model;
  int64_t rows = rows_of(from->alpha), columns = columns_of(from->alpha);
  g_autofree float *alpha = g_new(float, rows *columns), *norm = g_new(float, columns);
  if (!dms_cuda_host.read_f32(model, from->alpha, 0, rows, alpha, error)) return FALSE;
  if (!dms_cuda_host.read_f32(model, from->alpha_norm, 0, 1, norm, error)) return FALSE;
  for (int64_t i = 0; i < rows * columns; i++) alpha[i] *= norm[i % columns];
  TRY(cudaMemcpyAsync(to->adapter, alpha, rows * columns * sizeof(float), cudaMemcpyHostToDevice, backend->stream),
      "the adapter's weights");
  return TRUE;
}

/* One worker: two pinned buffers take turns, so that reading and copying overlap. */
static gboolean work(Loader *loader, void *const *buffer, cudaStream_t stream, const cudaEvent_t *copied,
                     GError **error) {
  const DmsModel *model = loader->backend->options.model;
  for (int turn = 0;; turn ^= 1) {
    int i = g_atomic_int_add(&loader->next, 1);
    if (i >= (int)loader->jobs->len) break;
    const Job *job = &g_array_index(loader->jobs, Job, i);
    gboolean wide = job->wide || loader->backend->type == DMS_CUDA_F32;
    TRY(cudaEventSynchronize(copied[turn]), "copying weights");
    if (wide ? !dms_cuda_host.read_f32(model, job->tensor, job->first, job->rows, buffer[turn], error)
             : !dms_cuda_host.read_bf16(model, job->tensor, job->first, job->rows, buffer[turn], error))
      return FALSE;
    TRY(cudaMemcpyAsync(job->to, buffer[turn], bytes_of(loader, job), cudaMemcpyHostToDevice, stream),
        "copying weights");
    TRY(cudaEventRecord(copied[turn], stream), "copying weights");
  }
  TRY(cudaStreamSynchronize(stream), "copying weights");
  return TRUE;
}

static gboolean run_worker(Loader *loader, GError **error) {
  /* A row of a vocabulary's size is never split, so a buffer holds at least the longest row. */
  gsize longest = BLOCK;
  for (guint i = 0; i < loader->jobs->len; i++)
    longest = MAX(longest, bytes_of(loader, &g_array_index(loader->jobs, Job, i)));
  void *buffer[2] = {NULL, NULL};
  cudaStream_t stream = NULL;
  cudaEvent_t copied[2] = {NULL, NULL};
  gboolean ok = dms_cuda_check(cudaSetDevice(loader->backend->options.device_index), "choosing the device", error) &&
                dms_cuda_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a copying stream", error);
  for (int i = 0; ok && i < 2; i++)
    ok = dms_cuda_check(cudaMallocHost(&buffer[i], longest), "pinned memory for loading", error) &&
         dms_cuda_check(cudaEventCreateWithFlags(&copied[i], cudaEventDisableTiming), "a copying event", error);
  if (ok) ok = work(loader, buffer, stream, copied, error);
  for (int i = 0; i < 2; i++) {
    if (copied[i]) cudaEventDestroy(copied[i]);
    cudaFreeHost(buffer[i]);
  }
  if (stream) cudaStreamDestroy(stream);
  return ok;
}

static gpointer worker(gpointer data) {
  Loader *loader = data;
  g_autoptr(GError) error = NULL;
  if (run_worker(loader, &error)) return NULL;
  g_atomic_int_set(&loader->next, (int)loader->jobs->len); /* the others stop */
  g_mutex_lock(&loader->mutex);
  if (!loader->error) loader->error = g_steal_pointer(&error);
  g_mutex_unlock(&loader->mutex);
  return NULL;
}

static gboolean run_jobs(Loader *loader, GError **error) {
  GThread *thread[MOST_THREADS];
  int n = CLAMP((int)g_get_num_processors(), 1, MOST_THREADS);
  n = MIN(n, MAX((int)loader->jobs->len / 4, 1));
  g_mutex_init(&loader->mutex);
  for (int i = 0; i < n; i++) thread[i] = g_thread_new("weights", worker, loader);
  for (int i = 0; i < n; i++) g_thread_join(thread[i]);
  g_mutex_clear(&loader->mutex);
  if (!loader->error) return TRUE;
  g_propagate_error(error, loader->error);
  return FALSE;
}

gboolean dms_cuda_weights_load(DmsBackend *backend, GError **error) {
  DmsCudaWeights *w = &backend->weights;
  g_autoptr(GArray) jobs = g_array_new(FALSE, FALSE, sizeof(Job));
  Loader loader = {.backend = backend, .jobs = jobs};
  w->layer = g_new0(DmsCudaLayer, backend->config->layers);
  Arena arena = {NULL, 0};
  place_model(&loader, &arena);
  w->bytes = arena.used;
  if (!dms_cuda_allocate(backend, w->bytes, "weights", &w->arena, error)) return FALSE;
  arena = (Arena){w->arena, 0};
  place_model(&loader, &arena);
  if (!run_jobs(&loader, error)) return FALSE;
  for (int i = 0; i < backend->config->layers; i++)
    if (w->layer[i].adapter && !load_adapter(backend, &backend->options.model->layer[i], &w->layer[i], error))
      return FALSE;
  return TRUE;
}
