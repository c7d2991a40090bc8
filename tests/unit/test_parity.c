/* Logits, flags and live counts against what transformers and a dense reference computed (tests/goldens/parity), and
 * against any further cases of the same form in the folders that $PARITY_CASES names (separated by colons). */
#include "engine/engine.h"
#include "tests/unit/golden_tensors.h"

#include <math.h>

static DmsEngine *open_engine(const char *dir, DmsPolicyKind kind) {
  g_autoptr(GError) error = NULL;
  DmsEngineOptions options = {.model_dir = dir, .policy = {.kind = kind}, .max_sequences = 2, .kv_bytes = 64 << 20};
  DmsEngine *engine = dms_engine_open(&options, &error);
  g_assert_no_error(error);
  return engine;
}

/* The largest relative L2 distance of a row. */
static double worst_distance(const float *got, const float *want, gint64 rows, gint64 columns) {
  double worst = 0;
  for (gint64 i = 0; i < rows; i++) {
    double difference = 0, norm = 0;
    for (gint64 j = 0; j < columns; j++) {
      double d = (double)got[i * columns + j] - want[i * columns + j];
      difference += d * d, norm += (double)want[i * columns + j] * want[i * columns + j];
    }
    worst = fmax(worst, sqrt(difference / norm));
  }
  return worst;
}

static void check(const char *dir, DmsPolicyKind kind, const char *logits_name) {
  g_autofree char *path = g_build_filename(dir, "expected.safetensors", NULL);
  gint64 rows, columns, n, one, lists;
  g_autofree int32_t *ids = golden_tensor(path, "input_ids", &one, &n);
  g_autofree float *want = golden_tensor(path, logits_name, &rows, &columns);
  if (!want) {
    g_assert_cmpint(kind, ==, DMS_POLICY_DMS); /* not every model has a rule; every one has logits */
    return;
  }
  g_autoptr(GError) error = NULL;
  DmsEngine *engine = open_engine(dir, kind);
  const DmsModelInfo *info = dms_engine_model(engine);
  g_autofree float *logits = g_new(float, n *columns);
  gsize items = (gsize)info->layers * info->kv_heads * n;
  g_autofree uint8_t *flags = g_new(uint8_t, items);
  g_autofree int32_t *live = g_new(int32_t, items);
  dms_engine_forward(engine, ids, (int)n, logits, flags, live, &error);
  g_assert_no_error(error);
  double distance = worst_distance(logits, want, rows, columns);
  g_test_message("%s %s: relative L2 %.1e", dir, logits_name, distance);
  g_assert_cmpfloat(distance, <=, 1e-4);
  if (kind == DMS_POLICY_DMS) {
    g_autofree uint8_t *want_flags = golden_tensor(path, "dms_flags", &lists, &n);
    g_autofree int32_t *want_live = golden_tensor(path, "dms_live", &lists, &n);
    g_assert_cmpmem(flags, items, want_flags, (gsize)(lists * n));
    g_assert_cmpmem(live, items * sizeof *live, want_live, (gsize)(lists * n) * sizeof *want_live);
  }
  dms_engine_close(engine);
}

static void test_folder(gconstpointer data) {
  const char *folder = data;
  GDir *cases = g_dir_open(folder, 0, NULL);
  int n = 0;
  g_assert_nonnull(cases);
  for (const char *name; (name = g_dir_read_name(cases)); n++) {
    g_autofree char *dir = g_build_filename(folder, name, NULL);
    check(dir, DMS_POLICY_VANILLA, "logits");
    check(dir, DMS_POLICY_DMS, "dms_logits");
  }
  g_dir_close(cases);
  g_assert_cmpint(n, >, 0);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/parity/goldens", "tests/goldens/parity", test_folder);
  const char *more = g_getenv("PARITY_CASES");
  g_auto(GStrv) folders = g_strsplit(more ? more : "", ":", -1);
  for (char **folder = folders; *folder; folder++) {
    g_autofree char *name = g_strconcat("/parity/more/", *folder, NULL);
    g_test_add_data_func(name, *folder, test_folder);
  }
  return g_test_run();
}
