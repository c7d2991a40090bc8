/* The data set itself: which tasks there are, who reads them, and what is asked of one that is open. */
#include "datasets/dataset.h"

#include "datasets/hub.h"
#include "datasets/packed_tests.h"
#include "datasets/rows.h"

#include <string.h>

typedef struct {
  const char *name;
  DatasetKind kind;
  const char *shipped; /* NULL: fetched */
  guint rows;          /* that the fetched file has; 0: several files, whose checksums are pinned */
} Task;

static const Task tasks[] = {
    {"aime24", DATASET_INTEGER, NULL, 30},
    {"aime25", DATASET_INTEGER, NULL, 30},
    {"math500", DATASET_MATH, NULL, 500},
    {"gpqa-diamond", DATASET_CHOICE, NULL, 198},
    {"livecodebench", DATASET_CODE, NULL, 0},
    {"pocket-aime", DATASET_INTEGER, "pocket/aime.jsonl", 30},
    {"pocket-gpqa", DATASET_CHOICE, "pocket/gpqa.csv", 30},
    {"pocket-livecodebench", DATASET_CODE, "pocket/livecodebench.jsonl", 30},
};

/* Only livecodebench may be followed by a release or a window. */
static const Task *find_task(const char *name, GError **error) {
  gsize base = strcspn(name, "@:");
  for (gsize i = 0; i < G_N_ELEMENTS(tasks); i++)
    if (strlen(tasks[i].name) == base && strncmp(tasks[i].name, name, base) == 0 &&
        (!name[base] || strcmp(tasks[i].name, "livecodebench") == 0))
      return &tasks[i];
  g_autoptr(GString) names = g_string_new(NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(tasks); i++) g_string_append_printf(names, "%s%s", i ? ", " : "", tasks[i].name);
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME, "no task \"%.80s\"; there are %s", name, names->str);
  return NULL;
}

/* The file or folder to read: what the user gave, what ships, or what was fetched. */
static char *locate(const Task *task, const char *name, const char *path, GError **error) {
  if (path) return g_strdup(path);
  if (!task->shipped) return hub_find_task(name, error);
  char *shipped = dataset_shipped(task->shipped);
  if (!shipped)
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_MISSING,
                "%s ships with hyperscale and was not found beside the program; set HYPERSCALE_DATA to the folder that "
                "holds it",
                task->shipped);
  return shipped;
}

/* Appends "path" and, for files small enough to be hashed in passing, their SHA-256. */
static void describe_source(GString *source, const char *path) {
  g_string_append(source, path);
  g_autofree char *text = NULL;
  gsize length;
  if (!read_small_file(path, &text, &length, NULL)) return;
  g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)text, length);
  g_string_append_printf(source, " sha256:%s", sum);
}

Dataset *dataset_open(const char *task_name, const DatasetOptions *options, GError **error) {
  static const DatasetOptions defaults;
  if (!options) options = &defaults;
  const Task *task = find_task(task_name, error);
  if (!task) return NULL;
  g_autofree char *path = locate(task, task_name, options->path, error);
  if (!path) return NULL;
  Dataset *dataset = g_new0(Dataset, 1);
  dataset->task = g_strdup(task_name);
  dataset->kind = task->kind;
  dataset->is_private = strcmp(task->name, "gpqa-diamond") == 0;
  dataset->rows = g_array_new(FALSE, TRUE, sizeof(DatasetRow));
  dataset->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  dataset->strings = g_string_chunk_new(1 << 16);
  dataset->source = g_string_new(NULL);
  gboolean ok = FALSE;
  switch (task->kind) {
  case DATASET_INTEGER:
  case DATASET_MATH:
    ok = dataset_read_math(dataset, path, error);
    break;
  case DATASET_CHOICE:
    ok = dataset_read_gpqa(dataset, path, options, error);
    break;
  case DATASET_CODE:
    ok = dataset_read_livecodebench(dataset, path, error);
    break;
  }
  if (ok && dataset->rows->len == 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s: no rows%s", path,
                strchr(task_name, ':') ? " in the window of dates" : "");
    ok = FALSE;
  }
  if (ok && !options->path && task->rows && dataset->rows->len != task->rows) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s: %u rows; %s has %u", path, dataset->rows->len,
                task->name, task->rows);
    ok = FALSE;
  }
  if (!ok) {
    dataset_close(dataset);
    return NULL;
  }
  describe_source(dataset->source, path);
  return dataset;
}

void dataset_close(Dataset *dataset) {
  if (!dataset) return;
  if (dataset->files) g_ptr_array_unref(dataset->files);
  g_hash_table_unref(dataset->by_id);
  g_array_unref(dataset->rows);
  g_string_chunk_free(dataset->strings);
  g_string_free(dataset->source, TRUE);
  g_free(dataset->task);
  g_free(dataset);
}

DatasetKind dataset_kind(const Dataset *dataset) {
  return dataset->kind;
}
guint dataset_size(const Dataset *dataset) {
  return dataset->rows->len;
}
const char *dataset_source(const Dataset *dataset) {
  return dataset->source->str;
}
gboolean dataset_is_private(const Dataset *dataset) {
  return dataset->is_private;
}

const DatasetProblem *dataset_problem(const Dataset *dataset, guint index) {
  g_return_val_if_fail(index < dataset->rows->len, NULL);
  return &g_array_index(dataset->rows, DatasetRow, index).problem;
}

int dataset_find(const Dataset *dataset, const char *id) {
  return GPOINTER_TO_INT(g_hash_table_lookup(dataset->by_id, id)) - 1;
}

GPtrArray *dataset_tests(Dataset *dataset, guint index, GError **error) {
  g_return_val_if_fail(index < dataset->rows->len && dataset->kind == DATASET_CODE, NULL);
  return livecodebench_tests(dataset, &g_array_index(dataset->rows, DatasetRow, index), error);
}
