/* The data set itself: which tasks there are, who reads them, and what is asked of one that is open. */
#include "datasets/dataset.h"

#include "datasets/hub.h"
#include "datasets/packed_tests.h"
#include "datasets/rows.h"

#include <glib/gstdio.h>
#include <string.h>

G_DEFINE_QUARK(hyperscale_dataset_error, dataset_error)

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

const char *dataset_task(const Dataset *dataset) {
  return dataset->task;
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

const DatasetProblem *dataset_find(const Dataset *dataset, const char *id) {
  guint found = GPOINTER_TO_UINT(g_hash_table_lookup(dataset->by_id, id));
  return found ? dataset_problem(dataset, found - 1) : NULL;
}

GPtrArray *dataset_tests(Dataset *dataset, guint index, GError **error) {
  g_return_val_if_fail(index < dataset->rows->len && dataset->kind == DATASET_CODE, NULL);
  return livecodebench_tests(dataset, &g_array_index(dataset->rows, DatasetRow, index), error);
}

/* ---- What the readers use ---------------------------------------------------------------------------------------- */

const char *dataset_keep(Dataset *dataset, const char *text) {
  return text ? g_string_chunk_insert(dataset->strings, text) : NULL;
}

gboolean dataset_add(Dataset *dataset, const DatasetRow *row, RowPlace place, GError **error) {
  guint before = GPOINTER_TO_UINT(g_hash_table_lookup(dataset->by_id, row->problem.id));
  if (before) {
    row_error(error, place, "id \"%.80s\" occurred before, in line %u%s", row->problem.id,
              g_array_index(dataset->rows, DatasetRow, before - 1).line,
              g_array_index(dataset->rows, DatasetRow, before - 1).file == row->file ? "" : " of an earlier file");
    return FALSE;
  }
  g_array_append_val(dataset->rows, *row);
  g_hash_table_insert(dataset->by_id, (char *)row->problem.id, GUINT_TO_POINTER(dataset->rows->len));
  return TRUE;
}

void row_error(GError **error, RowPlace place, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *valid = g_utf8_make_valid(message, -1); /* a value cut short may end inside a character */
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s:%u: %s", place.file, place.line, valid);
}

gboolean read_small_file(const char *path, char **text, gsize *length, GError **error) {
  GStatBuf status;
  g_autoptr(GError) failure = NULL;
  if (g_stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > SMALL_FILE_MAX)
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s: %" G_GINT64_FORMAT " bytes; at most %d are read", path,
                (gint64)status.st_size, SMALL_FILE_MAX);
  else if (!g_file_get_contents(path, text, length, &failure))
    g_set_error_literal(error, DATASET_ERROR, DATASET_ERROR_IO, failure->message);
  else
    return TRUE;
  return FALSE;
}

json_t *row_parse(const char *text, gsize length, RowPlace place, GError **error) {
  json_error_t at;
  json_t *row = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
  if (!row) {
    row_error(error, place, "byte %d: %s", at.position, at.text);
  } else if (!json_is_object(row)) {
    row_error(error, place, "the row is no JSON object");
    json_decref(row);
    row = NULL;
  }
  return row;
}

const char *row_string(json_t *row, const char *key, RowPlace place, GError **error) {
  json_t *value = json_object_get(row, key);
  if (!json_is_string(value))
    row_error(error, place, "field \"%s\" is %s; expected a string", key, value ? "no string" : "missing");
  return json_string_value(value);
}

void fingerprint_add_length(GChecksum *sum, gsize length) {
  char text[32];
  int n = g_snprintf(text, sizeof text, "%zu:", length);
  g_checksum_update(sum, (guchar *)text, n);
}

void fingerprint_add(GChecksum *sum, const char *text) {
  if (!text) {
    g_checksum_update(sum, (const guchar *)"-", 1);
    return;
  }
  fingerprint_add_length(sum, strlen(text));
  g_checksum_update(sum, (const guchar *)text, -1);
}
