/* Tokens that the device samples against the CPU's, one by one: logits of many kinds, every kind of sampler, every size
 * of batch that the launcher tells apart. Drives the kernel's launcher alone. */
#if __has_include(<cuda_runtime_api.h>)

#include "engine/cpu/kernels.h"
#include "engine/cuda/kernels.h"
#include "tests/unit/cuda_driver.h"

#include <math.h>

enum { ROWS = 64, SLOTS = ROWS + 3, KINDS = 12, STEPS = 6, UNTOUCHED = -77 };

static CudaDriver driver;

static const DmsSampler samplers[] = {
    {.temperature = 0.6f, .top_p = 0.95f},
    {.temperature = 0, .top_p = 1},
    {.temperature = 1, .top_p = 1},
    {.temperature = 0.6f, .top_p = 0.95f, .top_k = 20},
    {.temperature = 1, .top_p = 0.5f},
    {.temperature = 0.7f, .top_p = 1, .top_k = 40},
    {.temperature = 0.6f, .top_p = 0.9999f},
    {.temperature = 5, .top_p = 0.9f, .top_k = 3000},
    {.temperature = 0.1f, .top_p = 0.95f},
    {.temperature = 1, .top_p = 1e-7f},
    {.temperature = 1e-30f, .top_p = 0.95f},
    {.temperature = 1, .top_p = 0.95f, .top_k = 1},
    {.temperature = 2, .top_p = 1, .top_k = 100000},
};

static double normal(GRand *random) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += g_rand_double(random);
  return sum;
}

/* Rows as models give them and rows that they should not give. */
static void fill(GRand *random, int kind, float *logits, int vocab) {
  for (int i = 0; i < vocab; i++) {
    double x = normal(random);
    switch (kind) {
    case 0: /* flat, as of random weights: tens of thousands of ids in the nucleus */
    case 10:
      logits[i] = (float)x;
      break;
    case 1:
      logits[i] = (float)(2.2 * x);
      break;
    case 2: /* nearly uniform */
      logits[i] = (float)(0.01 * x);
      break;
    case 3: /* many ties */
      logits[i] = (float)(rint(x * 8) / 8);
      break;
    case 4: /* nothing but ties */
      logits[i] = 1.5f;
      break;
    case 5: /* half of the vocabulary impossible */
      logits[i] = x < 0 ? -INFINITY : (float)(100 * x);
      break;
    case 6: /* a peak over a wide tail */
    case 11:
      logits[i] = (float)(3 * x - 8);
      break;
    case 7: /* a plateau over what weighs next to nothing */
      logits[i] = (float)(i % 1000 == 7 ? x + 10 : 0.3 * x - 20);
      break;
    case 8: /* one id possible */
      logits[i] = -INFINITY;
      break;
    default:
      logits[i] = (float)(x * x * x);
    }
  }
  if (kind == 6 || kind == 11)
    for (int i = 0; i < 5; i++) logits[g_rand_int_range(random, 0, vocab)] = 20 + (float)i;
  if (kind == 8) logits[g_rand_int_range(random, 0, vocab)] = -3;
  if (kind == 10) logits[g_rand_int_range(random, 0, vocab)] = g_rand_boolean(random) ? NAN : INFINITY;
}

static uint64_t take(gsize bytes) {
  uint64_t memory;
  g_assert_cmpint(driver.allocate(&memory, bytes), ==, 0);
  return memory;
}

static void test_vocab(gconstpointer data) {
  static const int batches[] = {1, 3, 12, 30, ROWS};
  int vocab = GPOINTER_TO_INT(data);
  if (!cuda_driver_open(&driver)) return;
  void *library = cuda_library_open();
  typeof(dms_cuda_sample) *sample = (typeof(dms_cuda_sample) *)dlsym(library, "dms_cuda_sample");
  g_assert_nonnull(sample);
  g_autoptr(GRand) random = g_rand_new_with_seed((guint32)vocab);
  g_autofree float *logits = g_new(float, (gsize)ROWS *vocab);
  g_autofree uint64_t *scratch = g_new(uint64_t, 2 * (gsize)vocab);
  for (int row = 0; row < ROWS; row++) fill(random, row % KINDS, logits + (gsize)row * vocab, vocab);
  DmsSampler of_slot[SLOTS];
  uint32_t drawn[SLOTS];
  int32_t slots[ROWS], next[SLOTS];
  uint64_t memory = take((gsize)ROWS * vocab * sizeof *logits), slots_memory = take(sizeof slots);
  DmsCudaSamplers state = {(DmsSampler *)take(sizeof of_slot), (int32_t *)take(sizeof next),
                           (uint32_t *)take(sizeof drawn)};
  g_assert_cmpint(driver.to_device(memory, logits, (gsize)ROWS * vocab * sizeof *logits), ==, 0);
  for (int step = 0; step < STEPS; step++)
    for (gsize b = 0; b < G_N_ELEMENTS(batches); b++) {
      int rows = batches[b], shift = g_rand_int_range(random, 0, ROWS - rows + 1);
      for (int slot = 0; slot < SLOTS; slot++) {
        of_slot[slot] = samplers[(slot + step * 5 + (int)b) % (int)G_N_ELEMENTS(samplers)];
        of_slot[slot].key = g_rand_int(random), of_slot[slot].thread = (uint32_t)slot;
        drawn[slot] = g_rand_int(random), next[slot] = UNTOUCHED;
      }
      for (int row = 0; row < rows; row++) slots[row] = rows > 1 && row % 9 == 2 ? -1 : SLOTS - 1 - row;
      g_assert_cmpint(driver.to_device((uint64_t)state.samplers, of_slot, sizeof of_slot), ==, 0);
      g_assert_cmpint(driver.to_device((uint64_t)state.drawn, drawn, sizeof drawn), ==, 0);
      g_assert_cmpint(driver.to_device((uint64_t)state.next, next, sizeof next), ==, 0);
      g_assert_cmpint(driver.to_device(slots_memory, slots, sizeof slots), ==, 0);
      const float *first = (const float *)memory + (gsize)shift * vocab;
      g_assert_cmpint(sample(NULL, &state, (const int32_t *)slots_memory, rows, first, vocab), ==, 0);
      g_assert_cmpint(driver.wait(), ==, 0);
      g_assert_cmpint(driver.to_host(next, (uint64_t)state.next, sizeof next), ==, 0);
      int32_t want[SLOTS];
      for (int slot = 0; slot < SLOTS; slot++) want[slot] = UNTOUCHED;
      for (int row = 0; row < rows; row++)
        if (slots[row] >= 0)
          want[slots[row]] = (*dms_cpu_kernels_all())
                                 ->sample(&of_slot[slots[row]], drawn[slots[row]],
                                          logits + (gsize)(row + shift) * vocab, vocab, scratch);
      for (int slot = 0; slot < SLOTS; slot++) {
        if (next[slot] != want[slot])
          g_test_message("vocabulary %d, %d rows, row %d, logits %d, temperature %g, top_p %g, top_k %d", vocab, rows,
                         SLOTS - 1 - slot, (SLOTS - 1 - slot + shift) % KINDS, of_slot[slot].temperature,
                         of_slot[slot].top_p, of_slot[slot].top_k);
        g_assert_cmpint(next[slot], ==, want[slot]);
      }
    }
  const uint64_t all[] = {memory, slots_memory, (uint64_t)state.samplers, (uint64_t)state.next, (uint64_t)state.drawn};
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++) driver.release(all[i]);
}

int main(int argc, char **argv) {
  static const int vocabs[] = {152064, 151936, 128256, 32769, 32767, 1000, 256, 33, 1};
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(vocabs); i++) {
    g_autofree char *name = g_strdup_printf("/cuda/sampling/vocabulary-%d", vocabs[i]);
    g_test_add_data_func(name, GINT_TO_POINTER(vocabs[i]), test_vocab);
  }
  return g_test_run();
}

#else

#include "tests/unit/cuda_driver.h"

int main(int argc, char **argv) {
  return cuda_toolkit_missing(argc, argv, "/cuda/sampling");
}

#endif
