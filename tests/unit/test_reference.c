/* Small models of many shapes against a slow reference in double precision: logits, flags and live counts under each
 * policy. */
#include "engine/engine.h"
#include "tests/unit/random_model.h"

enum { TOKENS = 90 }; /* more than a page of items */

static const RandomModel models[] = {
    {"borrowed, group 1, dim 64", "qwen3", 96, 160, 2, 2, 2, 64, 131, DMS_DTYPE_BF16, .source = DMS_SOURCE_BORROWED_Q,
     .window = 7},
    {"borrowed, group 2, tied", "qwen3", 64, 96, 2, 4, 2, 32, 97, DMS_DTYPE_BF16, .tied = TRUE,
     .source = DMS_SOURCE_BORROWED_Q, .window = 0},
    {"borrowed, per layer", "qwen3", 64, 96, 2, 6, 3, 16, 97, DMS_DTYPE_BF16, .source = DMS_SOURCE_BORROWED_Q,
     .per_layer = TRUE, .window = 5},
    {"borrowed, group 4, dim 128, one KV head", "qwen3", 96, 128, 2, 4, 1, 128, 211, DMS_DTYPE_BF16, .tied = FALSE,
     .source = DMS_SOURCE_BORROWED_Q, .window = 12},
    {"borrowed, group 5, f16", "qwen3", 80, 112, 2, 10, 2, 24, 33, DMS_DTYPE_F16, .source = DMS_SOURCE_BORROWED_Q,
     .window = 1},
    {"adapter, group 3, f32", "qwen3", 72, 100, 3, 6, 2, 48, 641, DMS_DTYPE_F32, .source = DMS_SOURCE_ADAPTER,
     .window = 4},
    {"adapter, group 8, per layer", "qwen3", 64, 96, 2, 16, 2, 16, 65, DMS_DTYPE_BF16, .source = DMS_SOURCE_ADAPTER,
     .per_layer = TRUE, .window = 9},
    {"qwen2, group 7, dim 128", "qwen2", 112, 144, 2, 7, 1, 128, 1021, DMS_DTYPE_BF16, .tied = FALSE},
    {"qwen2, group 6, dim 80, f16", "qwen2", 96, 96, 2, 12, 2, 80, 63, DMS_DTYPE_F16, .tied = TRUE},
    {"llama, unshifted", "llama", 64, 96, 2, 8, 4, 32, 129, DMS_DTYPE_BF16, .llama3_rope = TRUE,
     .source = DMS_SOURCE_BORROWED_Q, .unshifted = TRUE, .keep_after_rope = TRUE, .window = 6},
    {"llama, all biases, group 3, f32", "llama", 48, 88, 2, 6, 2, 16, 70, DMS_DTYPE_F32, .biased = TRUE},
    {"llama, unshifted, window 0, tied", "llama", 64, 40, 2, 8, 1, 64, 1, DMS_DTYPE_F32, .tied = TRUE,
     .source = DMS_SOURCE_BORROWED_Q, .unshifted = TRUE, .keep_after_rope = TRUE, .window = 0},
};

static void compare(const RandomFolder *folder, const DmsPolicy *policy, const RandomResult *want, const int32_t *ids) {
  g_autoptr(GError) error = NULL;
  const RandomModel *m = &folder->shape;
  DmsEngineOptions options = {.model_dir = folder->dir, .policy = *policy, .max_sequences = 1, .kv_bytes = 64 << 20};
  DmsEngine *engine = dms_engine_open(&options, &error);
  g_assert_no_error(error);
  gsize items = (gsize)m->layers * m->kv_heads * TOKENS;
  g_autofree float *logits = g_new(float, TOKENS * m->vocab);
  g_autofree uint8_t *flags = g_new(uint8_t, items);
  g_autofree int32_t *live = g_new(int32_t, items);
  dms_engine_forward(engine, ids, TOKENS, logits, flags, live, &error);
  g_assert_no_error(error);
  double worst = 0;
  for (int t = 0; t < TOKENS; t++) {
    double difference = 0, norm = 0;
    for (int i = t * m->vocab; i < (t + 1) * m->vocab; i++)
      difference += pow(logits[i] - want->logits[i], 2), norm += want->logits[i] * want->logits[i];
    worst = fmax(worst, sqrt(difference / norm));
  }
  g_test_message("%s, policy %d: relative L2 %.1e", m->name, policy->kind, worst);
  g_assert_cmpfloat(worst, <, 2e-5);
  g_assert_cmpmem(flags, items, want->flags, items);
  g_assert_cmpmem(live, items * sizeof *live, want->live, items * sizeof *live);
  dms_engine_close(engine);
}

static void test_shape(gconstpointer data) {
  const RandomModel *model = data;
  RandomFolder *folder = random_folder_new(model, (guint32)model->vocab);
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  int32_t ids[TOKENS];
  for (int i = 0; i < TOKENS; i++) ids[i] = g_rand_int_range(random, 0, model->vocab);
  const DmsPolicy policies[] = {
      {DMS_POLICY_VANILLA, 0, 0}, {DMS_POLICY_WINDOW, 9, 3}, {DMS_POLICY_WINDOW, 0, 0}, {DMS_POLICY_DMS, 0, 0}};
  for (gsize i = 0; i < G_N_ELEMENTS(policies); i++) {
    if (policies[i].kind == DMS_POLICY_DMS && model->source == DMS_SOURCE_NONE) continue;
    RandomResult want = random_folder_forward(folder, &policies[i], ids, TOKENS);
    if (policies[i].kind == DMS_POLICY_DMS) g_assert_cmpfloat(want.closest, >, 1e-3); /* or f32 may decide otherwise */
    compare(folder, &policies[i], &want, ids);
    random_result_clear(&want);
  }
  random_folder_free(folder);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(models); i++) {
    g_autofree char *name = g_strconcat("/reference/", models[i].name, NULL);
    g_test_add_data_func(name, &models[i], test_shape);
  }
  return g_test_run();
}
