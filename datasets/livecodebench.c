/* LiveCodeBench: JSONL whose rows are mostly packed tests. A row is indexed by where it stands in its file and read
 * again when its tests are asked for, so an open data set holds questions and no tests.
 *
 * The private tests of a row are found as a span of its text and never handed to the JSON parser; what remains of
 * the row is small. */
#include "datasets/livecodebench.h"

#include "datasets/json_span.h"
#include "datasets/jsonl.h"
#include "datasets/packed_tests.h"
#include "datasets/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINE ((gsize)1 << 30)
#define HASH_CHUNK ((gsize)1 << 20)

typedef struct {
  char *path;
  int fd;
} LcbFile;

static void lcb_file_close(gpointer data) {
  LcbFile *file = data;
  close(file->fd);
  g_free(file->path);
  g_free(file);
}

/* ---- One row ----------------------------------------------------------------------------------------------------- */

/* A row without its private tests, and where in the text these are. */
typedef struct {
  json_t *object;
  JsonSpan private_tests;
} LcbRow;

static gboolean parse_row(const char *text, gsize length, RowPlace place, LcbRow *row, GError **error) {
  JsonSpan span;
  if (!json_member_span(text, length, "private_test_cases", &span) || *span.begin != '"') {
    /* Not an object at all, or one without the field: the parser says which, unless the row is what it seems. */
    g_autoptr(json_t) object = row_parse(text, length, place, error);
    if (object) row_error(error, place, "field \"private_test_cases\" is missing or no string");
    return FALSE;
  }
  JsonSpan whole = {text, text + length};
  g_autoptr(GString) rest = json_span_without(&whole, &span, 1);
  row->object = row_parse(rest->str, rest->len, place, error);
  row->private_tests = span;
  return row->object != NULL;
}

/* The function that a functional problem asks for: metadata is JSON text, {"func_name": ...} or {}. */
static gboolean parse_function_name(json_t *object, RowPlace place, char **name, GError **error) {
  const char *text = row_string(object, "metadata", place, error);
  if (!text) return FALSE;
  json_error_t at;
  g_autoptr(json_t) metadata = json_loads(text, JSON_REJECT_DUPLICATES, &at);
  if (!json_is_object(metadata)) {
    row_error(error, place, "field \"metadata\" is not the text of a JSON object: %.80s", text);
    return FALSE;
  }
  json_t *value = json_object_get(metadata, "func_name");
  if (!value) return TRUE;
  const char *found = json_string_value(value);
  if (!found || !g_regex_match_simple("^[A-Za-z_][A-Za-z_0-9]*\\z", found, 0, 0)) {
    row_error(error, place, "metadata names the function \"%.80s\"; expected a Python name",
              found ? found : "(no string)");
    return FALSE;
  }
  *name = g_strdup(found);
  return TRUE;
}

static const char *keep_optional(Dataset *dataset, json_t *object, const char *key) {
  return dataset_keep(dataset, json_string_value(json_object_get(object, key)));
}

/* Fills the row from its object; FALSE with an error, or without one when its date is outside the window. */
static gboolean fill_row(Dataset *dataset, json_t *object, const LcbSelection *selection, RowPlace place,
                         DatasetRow *row, GError **error) {
  DatasetProblem *problem = &row->problem;
  const char *id = row_string(object, "question_id", place, error);
  const char *question = id ? row_string(object, "question_content", place, error) : NULL;
  const char *date = question ? row_string(object, "contest_date", place, error) : NULL;
  const char *starter = date ? row_string(object, "starter_code", place, error) : NULL;
  if (!starter || !row_string(object, "public_test_cases", place, error)) return FALSE;
  g_autofree char *function = NULL;
  if (!parse_function_name(object, place, &function, error)) return FALSE;
  if (!*id || !*question) {
    row_error(error, place, "field \"%s\" is empty", *id ? "question_content" : "question_id");
    return FALSE;
  }
  if (!g_regex_match_simple("^\\d{4}-\\d\\d-\\d\\d(T|\\z)", date, 0, 0)) {
    row_error(error, place, "field \"contest_date\" is \"%.40s\"; expected a date such as 2024-08-03T00:00:00", date);
    return FALSE;
  }
  if ((*starter != '\0') != (function != NULL)) {
    row_error(error, place, "%s; a functional problem has starter_code and metadata.func_name, a stdin problem neither",
              function ? "a function is named, but there is no starter_code"
                       : "there is starter_code, but no function is named");
    return FALSE;
  }
  if (!lcb_selection_has_date(selection, date)) return FALSE;
  problem->id = dataset_keep(dataset, id);
  problem->question = dataset_keep(dataset, question);
  problem->starter_code = *starter ? dataset_keep(dataset, starter) : NULL;
  problem->function_name = dataset_keep(dataset, function);
  problem->date = dataset_keep(dataset, date);
  problem->difficulty = keep_optional(dataset, object, "difficulty");
  problem->platform = keep_optional(dataset, object, "platform");
  return TRUE;
}

/* ---- Fingerprints ------------------------------------------------------------------------------------------------ */

/* Hashing 4.5 GB of packed tests is what opening the full set costs: it runs on all cores. */
typedef struct {
  const LcbFile *file;
  guint64 offset; /* of the private tests */
  gsize length;
  GChecksum *sum; /* has the rest of the row */
} LcbHash;

static void lcb_hash_clear(gpointer data) {
  g_checksum_free(((LcbHash *)data)->sum);
}

static gboolean read_fully(const LcbFile *file, char *buffer, gsize length, guint64 offset, GError **error) {
  while (length > 0) {
    ssize_t n = pread(file->fd, buffer, length, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO, "%s: %s", file->path,
                  n < 0 ? g_strerror(errno) : "the file became shorter while it was read");
      return FALSE;
    }
    buffer += n;
    offset += (guint64)n;
    length -= (gsize)n;
  }
  return TRUE;
}

static void hash_private_tests(gpointer data, gpointer user_data) {
  LcbHash *hash = data;
  GError **failure = user_data;
  static GMutex mutex;
  g_autofree char *chunk = g_malloc(MIN(hash->length + 1, HASH_CHUNK));
  g_autoptr(GError) error = NULL;
  fingerprint_add_length(hash->sum, hash->length);
  for (gsize done = 0; done < hash->length && !error;) {
    gsize n = MIN(hash->length - done, HASH_CHUNK);
    if (read_fully(hash->file, chunk, n, hash->offset + done, &error))
      g_checksum_update(hash->sum, (guchar *)chunk, (gssize)n);
    done += n;
  }
  if (!error) return;
  g_mutex_lock(&mutex);
  if (!*failure) *failure = g_steal_pointer(&error);
  g_mutex_unlock(&mutex);
}

static gboolean finish_fingerprints(Dataset *dataset, GArray *hashes, GError **error) {
  GError *failure = NULL;
  GThreadPool *pool = g_thread_pool_new(hash_private_tests, &failure, (gint)g_get_num_processors(), FALSE, NULL);
  for (guint i = 0; i < hashes->len; i++) g_thread_pool_push(pool, &g_array_index(hashes, LcbHash, i), NULL);
  g_thread_pool_free(pool, FALSE, TRUE);
  if (failure) {
    g_propagate_error(error, failure);
    return FALSE;
  }
  for (guint i = 0; i < hashes->len; i++)
    g_array_index(dataset->rows, DatasetRow, i).problem.fingerprint =
        dataset_keep(dataset, g_checksum_get_string(g_array_index(hashes, LcbHash, i).sum));
  return TRUE;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static gboolean read_line(Dataset *dataset, const LcbSelection *selection, const JsonlLine *line, GArray *hashes,
                          GError **error) {
  guint file_index = dataset->files->len - 1;
  const LcbFile *file = g_ptr_array_index(dataset->files, file_index);
  RowPlace place = {file->path, line->number};
  LcbRow parsed;
  if (!parse_row(line->text, line->length, place, &parsed, error)) return FALSE;
  g_autoptr(json_t) object = parsed.object;
  DatasetRow row = {.line = line->number, .file = file_index, .offset = line->offset, .length = line->length};
  GError *failure = NULL;
  if (!fill_row(dataset, object, selection, place, &row, &failure)) {
    if (failure) g_propagate_error(error, failure);
    return !failure;
  }
  if (!dataset_add(dataset, &row, place, error)) return FALSE;
  LcbHash hash = {.file = file,
                  .offset = line->offset + (guint64)(parsed.private_tests.begin + 1 - line->text),
                  .length = (gsize)(parsed.private_tests.end - parsed.private_tests.begin) - 2,
                  .sum = g_checksum_new(G_CHECKSUM_SHA256)};
  fingerprint_add(hash.sum, "code");
  fingerprint_add(hash.sum, row.problem.question);
  fingerprint_add(hash.sum, row.problem.starter_code);
  fingerprint_add(hash.sum, row.problem.function_name);
  fingerprint_add(hash.sum, json_string_value(json_object_get(object, "public_test_cases")));
  g_array_append_val(hashes, hash);
  return TRUE;
}

static gboolean read_file(Dataset *dataset, const LcbSelection *selection, const char *path, GArray *hashes,
                          GError **error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    g_set_error(error, DATASET_ERROR, errno == ENOENT ? DATASET_ERROR_MISSING : DATASET_ERROR_IO, "%s: %s", path,
                g_strerror(errno));
    return FALSE;
  }
  LcbFile *file = g_new(LcbFile, 1);
  *file = (LcbFile){g_strdup(path), fd};
  g_ptr_array_add(dataset->files, file);
  g_autoptr(JsonlReader) reader = jsonl_reader_new(fd, path, MAX_LINE);
  GError *failure = NULL;
  JsonlLine line;
  while (jsonl_next(reader, &line, &failure))
    if (!read_line(dataset, selection, &line, hashes, &failure)) break;
  if (failure) g_propagate_error(error, failure);
  return !failure;
}

gboolean dataset_read_livecodebench(Dataset *dataset, const char *path, GError **error) {
  LcbSelection selection;
  const char *suffix = dataset->task + strcspn(dataset->task, "@:");
  if (!lcb_selection_parse(suffix, &selection, error)) return FALSE;
  gboolean is_folder = g_file_test(path, G_FILE_TEST_IS_DIR);
  if (!is_folder && selection.named) {
    g_set_error(
        error, DATASET_ERROR, DATASET_ERROR_NAME,
        "\"%s\" names a release, and %s is one file; give the folder that holds test.jsonl to test%d.jsonl, or leave "
        "out the release",
        dataset->task, path, LIVECODEBENCH_FILES);
    return FALSE;
  }
  dataset->files = g_ptr_array_new_with_free_func(lcb_file_close);
  g_autoptr(GArray) hashes = g_array_new(FALSE, FALSE, sizeof(LcbHash));
  g_array_set_clear_func(hashes, lcb_hash_clear);
  if (!is_folder && !read_file(dataset, &selection, path, hashes, error)) return FALSE;
  for (guint version = selection.first; is_folder && version <= selection.last; version++) {
    g_autofree char *file = g_build_filename(path, lcb_file_name(version), NULL);
    if (!read_file(dataset, &selection, file, hashes, error)) return FALSE;
  }
  return finish_fingerprints(dataset, hashes, error);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

GPtrArray *livecodebench_tests(const Dataset *dataset, const DatasetRow *row, GError **error) {
  const LcbFile *file = g_ptr_array_index(dataset->files, row->file);
  RowPlace place = {file->path, row->line};
  g_autofree char *text = g_try_malloc(row->length);
  if (!text) {
    row_error(error, place, "no memory for the %zu bytes of the row", row->length);
    return NULL;
  }
  LcbRow parsed;
  if (!read_fully(file, text, row->length, row->offset, error) || !parse_row(text, row->length, place, &parsed, error))
    return NULL;
  g_autoptr(json_t) object = parsed.object;
  if (g_strcmp0(json_string_value(json_object_get(object, "question_id")), row->problem.id) != 0) {
    row_error(error, place, "the row is not \"%s\" any more: the file was changed after it was opened",
              row->problem.id);
    return NULL;
  }
  const char *public_tests = row_string(object, "public_test_cases", place, error);
  if (!public_tests) return NULL;
  gsize private_length;
  g_autoptr(GError) failure = NULL;
  g_autofree char *private_tests = json_span_string(&parsed.private_tests, &private_length, &failure);
  g_clear_pointer(&text, g_free); /* packed and unpacked tests are large enough */
  gboolean functional = row->problem.function_name != NULL;
  g_autoptr(GPtrArray) tests = g_ptr_array_new_with_free_func((GDestroyNotify)dataset_test_free);
  const char *field = "private_test_cases";
  if (private_tests && !tests_from_json(public_tests, strlen(public_tests), functional, tests, &failure))
    field = "public_test_cases";
  if (!failure) tests_from_packed(private_tests, private_length, functional, tests, &failure);
  if (failure) {
    row_error(error, place, "%s of \"%s\": %s", field, row->problem.id, failure->message);
    return NULL;
  }
  if (tests->len == 0) {
    row_error(error, place, "\"%s\" has no tests at all", row->problem.id);
    return NULL;
  }
  return g_steal_pointer(&tests);
}
