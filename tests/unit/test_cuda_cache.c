/* Pages that prompts and steps have filled, byte by byte against the rule computed here the plain way, and decode
 * attention over them against double precision, for keys and values in bf16 and in e4m3. Drives the kernels' launchers
 * alone. */
#if __has_include(<cuda_runtime_api.h>)

#include "engine/cuda/kernels.h"
#include "tests/unit/cuda_driver.h"

#include <math.h>
#include <string.h>

enum { SLOTS = 3, KV_HEADS = 2, WINDOW = 20, RING = WINDOW + 1, PROMPT = 210, STEPS = 120, MAX_PAGES = 8, LATE = 25 };
static const float RATE = 0.7f;

static CudaDriver driver;

/* ---- e4m3, the slow way ---- */

static double value_of(uint8_t code) {
  int exponent = code >> 3 & 15, mantissa = code & 7;
  double magnitude = exponent ? ldexp(8 + mantissa, exponent - 10) : ldexp(mantissa, -9);
  return code & 0x80 ? -magnitude : magnitude;
}

/* The nearest code, the even one among two; beyond the largest, the largest. */
static uint8_t code_of(double x) {
  int best = 0;
  for (int code = 1; code < 127; code++) {
    double before = fabs(fabs(x) - value_of((uint8_t)best)), now = fabs(fabs(x) - value_of((uint8_t)code));
    if (now < before || (now == before && code % 2 == 0)) best = code;
  }
  return (uint8_t)(best | (signbit(x) ? 0x80 : 0));
}

/* The power of two by which the largest magnitude is brought to between 16 and 32. */
static double scale_of(double largest) {
  return largest > 0 ? ldexp(1, MAX(ilogb(largest) - 4, -30)) : ldexp(1, -30);
}

static float from_bf16(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float x;
  memcpy(&x, &wide, sizeof x);
  return x;
}
static uint16_t to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* ---- The cache, the slow way ---- */

typedef struct {
  double scale; /* of e4m3; 0: nothing in it yet */
  uint16_t element[64][256];
} Half; /* a page's K or V */

typedef struct {
  gboolean e4m3;
  int count, position;
  Half half[MAX_PAGES][2];
  int item_of[PROMPT + STEPS]; /* of the token at a position */
  gboolean flagged[PROMPT + STEPS];
} List;

static double largest_of(const uint16_t *x, int n) {
  double largest = 0;
  for (int i = 0; i < n; i++) largest = MAX(largest, fabs(from_bf16(x[i])));
  return largest;
}

static void put(List *list, int item, int is_value, const uint16_t *x, int dim) {
  Half *half = &list->half[item / 64][is_value];
  if (!list->e4m3) {
    memcpy(half->element[item % 64], x, dim * sizeof *x);
    return;
  }
  double largest = largest_of(x, dim), scale = scale_of(largest);
  if (half->scale == 0) half->scale = scale;
  if (largest > 448 * half->scale) {
    for (int r = 0; r < 64; r++)
      for (int d = 0; d < dim; d++)
        half->element[r][d] = code_of(value_of((uint8_t)half->element[r][d]) * (half->scale / scale));
    half->scale = scale;
  }
  for (int d = 0; d < dim; d++) half->element[item % 64][d] = code_of(from_bf16(x[d]) / half->scale);
}

static double get(const List *list, int item, int is_value, int d) {
  const Half *half = &list->half[item / 64][is_value];
  uint16_t element = half->element[item % 64][d];
  return list->e4m3 ? value_of((uint8_t)element) * half->scale : from_bf16(element);
}

static gboolean decides(int head, int position) {
  return (uint32_t)dms_philox((uint64_t)head, 0, (uint32_t)position) < RATE * 4294967296.0;
}

/* A step's token into a list: the decision made at it is the one about the token before. */
static void append(List *list, int head, const uint16_t *key, const uint16_t *value, int dim) {
  int position = list->position++, leaving = position - RING;
  gboolean over = leaving >= 0 && list->flagged[leaving];
  int item = over ? list->item_of[leaving] : list->count++;
  put(list, item, 0, key, dim), put(list, item, 1, value, dim);
  list->item_of[position] = item;
  if (position > 0) list->flagged[position - 1] = decides(head, position);
}

/* A prompt's kept tokens: here a page's scale comes from all of its items at once. */
static void keep(List *list, const uint8_t *flags, const uint16_t *qkv, int stride, int to_value, int dim) {
  for (int j = 0; j < PROMPT; j++) {
    list->flagged[j] = flags[j];
    if (j < PROMPT - RING && flags[j]) continue;
    list->item_of[j] = list->count;
    for (int is_value = 0; is_value < 2; is_value++) {
      Half *half = &list->half[list->count / 64][is_value];
      half->scale = MAX(half->scale, scale_of(largest_of(qkv + (gsize)j * stride + is_value * to_value, dim)));
    }
    list->count++;
  }
  for (int j = 0, item = 0; j < PROMPT; j++) {
    if (j < PROMPT - RING && flags[j]) continue;
    for (int is_value = 0; is_value < 2; is_value++)
      put(list, item, is_value, qkv + (gsize)j * stride + is_value * to_value, dim);
    item++;
  }
  list->position = PROMPT;
}

/* ---- The device ---- */

typedef struct {
  gboolean e4m3;
  int dim, group;
  DmsCudaHeads heads;
  DmsCudaCache cache;
  DmsCudaSamplers samplers;
  DmsCudaRows rows;
  DmsCudaPrompts prompts;
  void *qkv, *out, *scratch, *prompt_qkv;
  uint8_t *flags;
  int32_t *failed;
  unsigned long long *reads;
  float2 *rope;
  GArray *memory;
  int pages;
  /* The launchers. */
  typeof(dms_cuda_cache_reset) *reset;
  typeof(dms_cuda_cache_keep) *keep;
  typeof(dms_cuda_plan_step) *plan_step;
  typeof(dms_cuda_plan_shares) *plan_shares;
  typeof(dms_cuda_decode_attention) *attention;
  typeof(dms_cuda_decode_attention_plan) *attention_plan;
} Device;

static void take(Device *device, void *pointer, gsize bytes) {
  uint64_t memory;
  g_assert_cmpint(driver.allocate(&memory, MAX(bytes, 256)), ==, 0);
  g_assert_cmpint(driver.fill(memory, 0, MAX(bytes, 256)), ==, 0);
  g_array_append_val(device->memory, memory);
  *(uint64_t *)pointer = memory;
}

static void *take_copy(Device *device, const void *from, gsize bytes) {
  void *memory;
  take(device, &memory, bytes);
  g_assert_cmpint(driver.to_device((uint64_t)memory, from, bytes), ==, 0);
  return memory;
}

static void fetch(void *to, const void *from, gsize bytes) {
  g_assert_cmpint(driver.wait(), ==, 0);
  g_assert_cmpint(driver.to_host(to, (uint64_t)from, bytes), ==, 0);
}

static void device_open(Device *device, void *library, gboolean e4m3, int dim, int group) {
  *device = (Device){.e4m3 = e4m3, .dim = dim, .group = group, .pages = SLOTS * KV_HEADS * MAX_PAGES};
  device->memory = g_array_new(FALSE, FALSE, sizeof(uint64_t));
#define FIND(field, name) g_assert_nonnull(device->field = (typeof(name) *)dlsym(library, #name))
  FIND(reset, dms_cuda_cache_reset);
  FIND(keep, dms_cuda_cache_keep);
  FIND(plan_step, dms_cuda_plan_step);
  FIND(plan_shares, dms_cuda_plan_shares);
  FIND(attention, dms_cuda_decode_attention);
  FIND(attention_plan, dms_cuda_decode_attention_plan);
#undef FIND
  DmsCudaHeads *heads = &device->heads;
  DmsCudaCache *cache = &device->cache;
  DmsCudaRows *rows = &device->rows;
  *heads = (DmsCudaHeads){.type = DMS_CUDA_BF16,
                          .heads = group * KV_HEADS,
                          .kv_heads = KV_HEADS,
                          .group = group,
                          .head_dim = dim,
                          .stride = (group + 2) * KV_HEADS * dim,
                          .scale = 1 / sqrtf((float)dim)};
  *cache =
      (DmsCudaCache){.type = e4m3 ? DMS_CUDA_E4M3 : DMS_CUDA_BF16,
                     .layers = 1,
                     .kv_heads = KV_HEADS,
                     .head_dim = dim,
                     .slots = SLOTS,
                     .max_pages = MAX_PAGES,
                     .ring = RING,
                     .page_bytes = 2 * (gsize)DMS_CUDA_PAGE * dim * (e4m3 ? 1 : 2) + (e4m3 ? DMS_CUDA_PAGE_HEAD : 0)};
  rows->rows = SLOTS;
  gsize lists = SLOTS * KV_HEADS, scratch;
  g_assert_cmpint(device->attention_plan(heads, cache->type, &rows->parts, &scratch), ==, 0);
  take(device, &cache->pool, device->pages * cache->page_bytes);
  take(device, &cache->table, lists * MAX_PAGES * 4), take(device, &cache->count, lists * 4);
  take(device, &cache->frozen, lists * 4), take(device, &cache->recent, lists * RING * 4);
  take(device, &cache->users, device->pages * 4), take(device, &cache->free_list, device->pages * 4);
  take(device, &cache->free_count, 4), take(device, &cache->position, SLOTS * 4), take(device, &cache->live, SLOTS * 8);
  take(device, &device->samplers.samplers, SLOTS * sizeof(DmsSampler));
  take(device, &device->samplers.next, SLOTS * 4), take(device, &device->samplers.drawn, SLOTS * 4);
  for (int i = 0; i < DMS_CUDA_MAILBOXES; i++) {
    DmsCudaMailbox *mailbox = &rows->mailbox[i];
    take(device, &mailbox->entries, SLOTS * sizeof(DmsStepEntry));
    take(device, &mailbox->results, SLOTS * sizeof(DmsStepResult));
    take(device, &mailbox->free_pages, sizeof(int32_t));
  }
  take(device, &rows->planned, 2 * sizeof(uint32_t));
  take(device, &rows->tokens, SLOTS * 4), take(device, &rows->slots, SLOTS * 4);
  take(device, &rows->positions, SLOTS * 4), take(device, &rows->items, lists * 4);
  take(device, &rows->lists, lists * sizeof(DmsCudaList)),
      take(device, &rows->shares, rows->parts * sizeof(DmsCudaShare));
  take(device, &device->scratch, scratch), take(device, &device->qkv, SLOTS * heads->stride * 2);
  take(device, &device->out, SLOTS * group * KV_HEADS * dim * 2), take(device, &device->reads, 8);
  take(device, &device->failed, 4);
  /* Rotation by nothing. */
  gsize turns = (PROMPT + STEPS) * (gsize)dim / 2;
  g_autofree float2 *rope = g_new0(float2, turns);
  for (gsize i = 0; i < turns; i++) rope[i].x = 1;
  device->rope = take_copy(device, rope, turns * sizeof *rope);
  /* What a page held before must not matter: every byte of it is NaN. */
  g_assert_cmpint(driver.fill((uint64_t)cache->pool, 0xFF, device->pages * cache->page_bytes), ==, 0);
  g_assert_cmpint(device->reset(NULL, cache, device->pages), ==, 0);
}

static void device_close(Device *device) {
  for (guint i = 0; i < device->memory->len; i++) driver.release(g_array_index(device->memory, uint64_t, i));
  g_array_unref(device->memory);
}

/* A row of qkv: magnitudes of K and V that differ by a factor of thousands from item to item, some of them zero. */
static void draw_row(GRand *random, const Device *device, uint16_t *row) {
  int vectors = device->heads.stride / device->dim;
  for (int v = 0; v < vectors; v++) {
    double size = v < device->heads.heads ? 0.03 : ldexp(1, g_rand_int_range(random, -6, 4));
    if (v >= device->heads.heads && g_rand_int_range(random, 0, 40) == 0) size = 300;
    if (v >= device->heads.heads && g_rand_int_range(random, 0, 40) == 0) size = 0;
    for (int d = 0; d < device->dim; d++) {
      double x = size * g_rand_double_range(random, -1, 1);
      row[v * device->dim + d] = x != 0 ? to_bf16((float)x) : 0; /* rotation loses the sign of a zero */
    }
  }
}

static void run_prompt(Device *device, GRand *random, List (*lists)[KV_HEADS]) {
  const DmsCudaHeads *heads = &device->heads;
  g_autofree uint16_t *qkv = g_new(uint16_t, (gsize)PROMPT * heads->stride);
  uint8_t flags[KV_HEADS][PROMPT] = {0};
  const int32_t starts[] = {0, PROMPT}, slot = 0;
  for (int j = 0; j < PROMPT; j++) draw_row(random, device, qkv + (gsize)j * heads->stride);
  for (int h = 0; h < KV_HEADS; h++)
    for (int j = 0; j + 1 < PROMPT; j++) flags[h][j] = decides(h, j + 1);
  device->prompts = (DmsCudaPrompts){.n = 1,
                                     .tokens = PROMPT,
                                     .starts = take_copy(device, starts, sizeof starts),
                                     .slots = take_copy(device, &slot, sizeof slot)};
  device->prompt_qkv = take_copy(device, qkv, (gsize)PROMPT * heads->stride * 2);
  device->flags = take_copy(device, flags, sizeof flags);
  g_assert_cmpint(device->keep(NULL, &device->cache, heads, &device->prompts, device->prompt_qkv, device->flags, 0,
                               device->reads, device->failed),
                  ==, 0);
  for (int h = 0; h < KV_HEADS; h++)
    keep(&lists[0][h], flags[h], qkv + (heads->heads + h) * device->dim, heads->stride, KV_HEADS * device->dim,
         device->dim);
}

/* From qkv to `out`; to do it again changes nothing. */
static void attend(Device *device) {
  const DmsCudaRope rope = {.heads = device->heads,
                            .rule = {.decision = DMS_CUDA_RANDOM, .shift = 1, .rate = RATE},
                            .qkv = device->qkv,
                            .eps = 1e-6f,
                            .rope = device->rope};
  if (device->rows.parts) g_assert_cmpint(device->plan_shares(NULL, &device->cache, &device->rows), ==, 0);
  g_assert_cmpint(device->attention(NULL, &rope, &device->cache, &device->rows, device->out, device->scratch), ==, 0);
  g_assert_cmpint(driver.wait(), ==, 0);
}

/* One step of the slots that have begun; slot s begins at step s * LATE. `poison`: a value of the last slot is NaN. */
static void run_step(Device *device, GRand *random, int step, gboolean poison, uint16_t *qkv, List (*lists)[KV_HEADS]) {
  const DmsCudaHeads *heads = &device->heads;
  DmsStepEntry entries[SLOTS];
  for (int s = 0; s < SLOTS; s++) {
    gboolean runs = step >= s * LATE;
    entries[s] = (DmsStepEntry){.slot = runs ? s : -1, .index = step - s * LATE, .forced = 1};
    uint16_t *row = qkv + (gsize)s * heads->stride;
    draw_row(random, device, row);
    if (poison && s == SLOTS - 1) row[(heads->heads + KV_HEADS) * device->dim + 3] = 0x7FC0;
    for (int h = 0; runs && !poison && h < KV_HEADS; h++)
      append(&lists[s][h], h, row + (heads->heads + h) * device->dim, row + (heads->heads + KV_HEADS + h) * device->dim,
             device->dim);
  }
  g_assert_cmpint(driver.to_device((uint64_t)device->qkv, qkv, SLOTS * heads->stride * 2), ==, 0);
  DmsStepEntry *order = device->rows.mailbox[step % DMS_CUDA_MAILBOXES].entries;
  g_assert_cmpint(driver.to_device((uint64_t)order, entries, sizeof entries), ==, 0);
  g_assert_cmpint(device->plan_step(NULL, &device->cache, &device->samplers, &device->rows), ==, 0);
  attend(device);
}

/* Where a channel lies in a page's K or V, as page_offset() of element.cuh says. */
static int place_of(const Device *device, int row, int channel) {
  int dim = device->dim;
  if (!device->e4m3 && (dim == 64 || dim == 128)) channel ^= (row & 7) << 3;
  if (device->e4m3 && dim == 128) channel ^= (row & 7) << 4;
  if (device->e4m3 && dim == 64) channel ^= (row >> 1 & 3) << 4;
  return row * dim + channel;
}

static void check_half(const Device *device, const uint8_t *page, int is_value, const Half *half, int items) {
  int dim = device->dim, head = device->e4m3 ? DMS_CUDA_PAGE_HEAD : 0, first = is_value * 64 * dim;
  if (device->e4m3) {
    float scale;
    memcpy(&scale, page + head - 16 + 4 * is_value, sizeof scale);
    g_assert_cmpfloat(scale, ==, half->scale);
  }
  for (int row = 0; row < items; row++)
    for (int d = 0; d < dim; d++) {
      int at = first + place_of(device, row, d);
      uint16_t found = device->e4m3 ? page[head + at] : ((const uint16_t *)page)[at];
      g_assert_cmphex(found, ==, half->element[row][d]);
    }
}

static void check_pages(const Device *device, List (*lists)[KV_HEADS]) {
  const DmsCudaCache *cache = &device->cache;
  g_autofree uint8_t *pool = g_malloc(device->pages * cache->page_bytes);
  int32_t table[SLOTS][KV_HEADS][MAX_PAGES], count[SLOTS][KV_HEADS];
  fetch(pool, cache->pool, device->pages * cache->page_bytes);
  fetch(table, cache->table, sizeof table), fetch(count, cache->count, sizeof count);
  for (int s = 0; s < SLOTS; s++)
    for (int h = 0; h < KV_HEADS; h++) {
      g_assert_cmpint(count[s][h], ==, lists[s][h].count);
      for (int page = 0; 64 * page < count[s][h]; page++)
        for (int is_value = 0; is_value < 2; is_value++)
          check_half(device, pool + table[s][h][page] * cache->page_bytes, is_value, &lists[s][h].half[page][is_value],
                     MIN(count[s][h] - 64 * page, 64));
    }
}

static void check_attention(const Device *device, const uint16_t *qkv, List (*lists)[KV_HEADS]) {
  int dim = device->dim, heads = device->heads.heads;
  g_autofree uint16_t *out = g_new(uint16_t, SLOTS * heads * dim);
  g_autofree double *want = g_new(double, dim);
  fetch(out, device->out, SLOTS * heads * dim * 2);
  double worst = 0;
  for (int s = 0; s < SLOTS; s++)
    for (int head = 0; head < heads; head++) {
      const List *list = &lists[s][head / device->group];
      double score[MAX_PAGES * 64], top = -INFINITY, total = 0, difference = 0, norm = 0;
      for (int i = 0; i < list->count; i++) {
        score[i] = 0;
        for (int d = 0; d < dim; d++)
          score[i] += from_bf16(qkv[(gsize)s * device->heads.stride + head * dim + d]) * get(list, i, 0, d) / sqrt(dim);
        top = MAX(top, score[i]);
      }
      memset(want, 0, dim * sizeof *want);
      for (int i = 0; i < list->count; i++) {
        double weight = exp(score[i] - top);
        total += weight;
        for (int d = 0; d < dim; d++) want[d] += weight * get(list, i, 1, d);
      }
      for (int d = 0; d < dim; d++) {
        difference += pow(want[d] / total - from_bf16(out[((gsize)s * heads + head) * dim + d]), 2);
        norm += pow(want[d] / total, 2);
      }
      worst = MAX(worst, sqrt(difference / norm));
    }
  g_test_message("head_dim %d, group %d: attention off by %.1e at most", dim, device->group, worst);
  g_assert_cmpfloat(worst, <, 5e-3);
}

/* A value that is not finite reaches its own list's results and no other's: its channel, or in e4m3, where its page's
 * scale tells of it, all of them. */
static void check_poison(const Device *device) {
  int dim = device->dim, heads = device->heads.heads;
  g_autofree uint16_t *out = g_new(uint16_t, SLOTS * heads * dim);
  fetch(out, device->out, SLOTS * heads * dim * 2);
  for (int i = 0; i < SLOTS * heads * dim; i++) {
    gboolean list = i / dim / heads == SLOTS - 1 && i / dim % heads < device->group;
    gboolean struck = list && (device->e4m3 || i % dim == 3);
    g_assert_cmpint(isnan(from_bf16(out[i])) != 0, ==, struck);
  }
}

typedef struct {
  gboolean e4m3;
  int dim, group;
} Shape;

static void test_shape(gconstpointer data) {
  const Shape *shape = data;
  Device device;
  if (!cuda_driver_open(&driver)) return;
  void *library = cuda_library_open();
  List(*lists)[KV_HEADS] = g_malloc0(SLOTS * sizeof *lists);
  for (int s = 0; s < SLOTS; s++)
    for (int h = 0; h < KV_HEADS; h++) lists[s][h].e4m3 = shape->e4m3;
  g_autoptr(GRand) random = g_rand_new_with_seed((guint32)(shape->dim + shape->group));
  device_open(&device, library, shape->e4m3, shape->dim, shape->group);
  g_autofree uint16_t *qkv = g_new(uint16_t, SLOTS * device.heads.stride);
  run_prompt(&device, random, lists);
  for (int step = 0; step < STEPS - 1; step++) run_step(&device, random, step, FALSE, qkv, lists);
  check_pages(&device, lists);
  check_attention(&device, qkv, lists);
  /* The same by few CTAs, each of which has several lists and parts of lists. */
  for (int all = device.rows.parts, parts = 1; parts < MIN(all, 8); parts++) {
    device.rows.parts = parts;
    attend(&device);
    device.rows.parts = all;
    check_pages(&device, lists);
    check_attention(&device, qkv, lists);
  }
  run_step(&device, random, STEPS - 1, TRUE, qkv, lists);
  check_poison(&device);
  device_close(&device);
  g_free(lists);
}

int main(int argc, char **argv) {
  static const int shapes[][2] = {{128, 1}, {128, 4}, {128, 5}, {128, 8}, {64, 3},  {64, 7},
                                  {64, 8},  {32, 3},  {8, 2},   {256, 2}, {128, 12}};
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < 2 * G_N_ELEMENTS(shapes); i++) {
    Shape *shape = g_new(Shape, 1);
    *shape = (Shape){i % 2 == 1, shapes[i / 2][0], shapes[i / 2][1]};
    g_autofree char *name =
        g_strdup_printf("/cuda/cache/head_dim-%d/group-%d/%s", shape->dim, shape->group, shape->e4m3 ? "fp8" : "bf16");
    g_test_add_data_func_full(name, shape, test_shape, g_free);
  }
  return g_test_run();
}

#else

#include "tests/unit/cuda_driver.h"

int main(int argc, char **argv) {
  return cuda_toolkit_missing(argc, argv, "/cuda/cache");
}

#endif
