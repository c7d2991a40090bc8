/* Greedy continuations of the pocket models and their live counts against the reference's (tests/goldens/pocket-
 * greedy.json). A token may differ only where the two best logits are within 1e-3 of each other; what follows it is
 * then not compared. */
#include "engine/engine.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define MODELS "datasets/pocket/models/"

typedef struct {
  GArray *tokens, *live;
} Answer;

static void keep(const DmsCompletion *completion, gpointer data) {
  Answer *answer = data;
  g_assert_cmpint(completion->finish, !=, DMS_FINISH_ERROR);
  g_array_append_vals(answer->tokens, completion->tokens, (guint)completion->n_tokens);
  g_array_append_vals(answer->live, completion->live, (guint)completion->n_tokens);
}

static GArray *ids_of(json_t *array) {
  GArray *ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  for (size_t i = 0; i < json_array_size(array); i++) {
    int32_t id = (int32_t)json_integer_value(json_array_get(array, i));
    g_array_append_val(ids, id);
  }
  return ids;
}

/* The gap between the two best logits after prompt and answer[0..n). */
static double gap_after(DmsEngine *engine, GArray *prompt, GArray *answer, guint n) {
  g_autoptr(GError) error = NULL;
  int vocab = dms_engine_model(engine)->vocab;
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  g_array_append_vals(ids, prompt->data, prompt->len);
  g_array_append_vals(ids, answer->data, n);
  g_autofree float *logits = g_new(float, (gsize)ids->len *vocab);
  dms_engine_forward(engine, (const int32_t *)ids->data, (int)ids->len, logits, NULL, NULL, &error);
  g_assert_no_error(error);
  float *last = logits + (gsize)(ids->len - 1) * vocab, best = -INFINITY, second = -INFINITY;
  for (int i = 0; i < vocab; i++)
    if (last[i] > best)
      second = best, best = last[i];
    else if (last[i] > second)
      second = last[i];
  return best - second;
}

static void check_row(DmsEngine *engine, json_t *row) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) prompt = ids_of(json_object_get(row, "prompt_ids"));
  g_autoptr(GArray) want = ids_of(json_object_get(row, "greedy_ids"));
  const DmsModelInfo *info = dms_engine_model(engine);
  Answer answer = {g_array_new(FALSE, FALSE, sizeof(int32_t)), g_array_new(FALSE, FALSE, sizeof(uint64_t))};
  DmsRequest request = {.prompt = (const int32_t *)prompt->data,
                        .prompt_length = (int)prompt->len,
                        .threads = 1,
                        .max_new_tokens = (int)want->len,
                        .sampling = {0, 1, 0}};
  dms_engine_submit(engine, &request, &error);
  g_assert_no_error(error);
  while (dms_engine_pending(engine)) {
    dms_engine_step(engine, keep, &answer, &error);
    g_assert_no_error(error);
  }
  guint equal = 0;
  while (equal < want->len && equal < answer.tokens->len &&
         g_array_index(answer.tokens, int32_t, equal) == g_array_index(want, int32_t, equal))
    equal++;
  if (equal < want->len) g_assert_cmpfloat(gap_after(engine, prompt, want, equal), <=, 1e-3);
  for (guint i = 0; i < equal; i++) {
    double per_list = (double)g_array_index(answer.live, uint64_t, i) / (info->layers * info->kv_heads);
    double expected = json_number_value(json_array_get(json_object_get(row, "live_per_step"), i));
    g_assert_cmpfloat_with_epsilon(per_list, expected, 1e-3);
  }
  g_test_message("%s: %u of %u tokens", json_string_value(json_object_get(row, "kind")), equal, want->len);
  g_array_unref(answer.tokens);
  g_array_unref(answer.live);
}

static void test_model(const char *golden, const char *model) {
  g_autoptr(GError) error = NULL;
  json_error_t problem;
  json_t *rows = json_load_file("tests/goldens/pocket-greedy.json", 0, &problem);
  g_assert_nonnull(rows);
  g_autofree char *dir = g_strconcat(MODELS, model, NULL);
  DmsEngineOptions options = {.model_dir = dir,
                              .max_sequences = 4,
                              .kv_bytes = 64 << 20,
                              .policy = {.kind = strcmp(golden, "base") == 0 ? DMS_POLICY_VANILLA : DMS_POLICY_DMS}};
  DmsEngine *engine = dms_engine_open(&options, &error);
  g_assert_no_error(error);
  int n = 0;
  for (size_t i = 0; i < json_array_size(rows); i++) {
    json_t *row = json_array_get(rows, i);
    if (strcmp(json_string_value(json_object_get(row, "model")), golden) == 0) check_row(engine, row), n++;
  }
  g_assert_cmpint(n, ==, 4);
  dms_engine_close(engine);
  json_decref(rows);
}

static void test_base(void) {
  test_model("base", "pocket-reasoner");
}
static void test_2x(void) {
  test_model("dms_cr2", "pocket-reasoner-dms-2x");
}
static void test_4x(void) {
  test_model("dms_cr4", "pocket-reasoner-dms-4x");
}
static void test_8x(void) {
  test_model("dms_cr8", "pocket-reasoner-dms-8x");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/greedy/vanilla", test_base);
  g_test_add_func("/greedy/dms-2x", test_2x);
  g_test_add_func("/greedy/dms-4x", test_4x);
  g_test_add_func("/greedy/dms-8x", test_8x);
  return g_test_run();
}
