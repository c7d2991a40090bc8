/* What the readers share: the data set as they fill it, the place of a row in its file, and the checks that each row
 * passes.
 *
 * A reader opens one or more files, checks every row, and adds it with dataset_add(); the data set then owns it.
 * Messages about a row begin with its place, "file:line: ". */
#ifndef HYPERSCALE_DATASETS_ROWS_H
#define HYPERSCALE_DATASETS_ROWS_H

#include "datasets/dataset.h"

#include <jansson.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

typedef struct {
  DatasetProblem problem;
  guint line; /* where the row begins, from 1 */
  /* LiveCodeBench: index into `files`, and the bytes of the row there. */
  guint file;
  guint64 offset;
  gsize length;
} DatasetRow;

struct Dataset {
  char *task;
  DatasetKind kind;
  gboolean is_private;
  GArray *rows;          /* DatasetRow */
  GHashTable *by_id;     /* id -> index + 1 */
  GStringChunk *strings; /* every string of the rows */
  GString *source;
  GPtrArray *files; /* LiveCodeBench: LcbFile *, kept open so that tests can be unpacked later */
};

/* A row's place, for messages. */
typedef struct {
  const char *file;
  guint line;
} RowPlace;

/* Adds a row whose `problem` has an id, and takes copies of none of its strings: they come from dataset_keep().
 * DATASET_ERROR_FORMAT when the id occurred before. */
gboolean dataset_add(Dataset *dataset, const DatasetRow *row, RowPlace place, GError **error);
/* A copy that lives as long as the data set; NULL stays NULL. */
const char *dataset_keep(Dataset *dataset, const char *text);

/* The readers. `path` is a file, for LiveCodeBench also a folder that holds test.jsonl .. test6.jsonl. */
gboolean dataset_read_math(Dataset *dataset, const char *path, GError **error);
gboolean dataset_read_gpqa(Dataset *dataset, const char *path, const DatasetOptions *options, GError **error);
gboolean dataset_read_livecodebench(Dataset *dataset, const char *path, GError **error);
GPtrArray *livecodebench_tests(const Dataset *dataset, const DatasetRow *row, GError **error);

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

G_GNUC_PRINTF(3, 4) void row_error(GError **error, RowPlace place, const char *format, ...);
/* A whole file of at most SMALL_FILE_MAX bytes; `*text` is to be freed. */
#define SMALL_FILE_MAX (64 << 20)
gboolean read_small_file(const char *path, char **text, gsize *length, GError **error);
/* Parses one row: a strict JSON object, duplicate keys refused. */
json_t *row_parse(const char *text, gsize length, RowPlace place, GError **error);
/* The string at `key`; NULL and an error when it is missing or something else. */
const char *row_string(json_t *row, const char *key, RowPlace place, GError **error);

/* A fingerprint is the SHA-256 of the row's fields, each preceded by its length, so that no two rows feed the same
 * bytes. */
void fingerprint_add(GChecksum *sum, const char *text); /* NULL differs from "" */
void fingerprint_add_length(GChecksum *sum, gsize length);

#endif
