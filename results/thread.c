/* Reading threads back: all of a run in a row, or one of them whole. */
#include <string.h>

#include "results/generation.h"
#include "results/store.h"
#include "results/trace.h"

/* One method at a time: the rows then come in the order of the thread table, and no sorter has to hold texts. */
static const char walk_sql[] =
    "SELECT generation.id, problem.id, method, task.name, problem.name, thread, n_tokens, finish, completion.text, "
    "grade.outcome FROM thread JOIN problem ON problem.id = thread.problem JOIN task ON task.id = problem.task "
    "JOIN generation ON generation.id = thread.generation "
    "LEFT JOIN completion ON completion.generation = generation.id "
    "LEFT JOIN grade ON grade.generation = generation.id AND grade.fingerprint = problem.fingerprint "
    "AND grade.grader = task.grader "
    "WHERE method = ?1 AND (?2 IS NULL OR task.name = ?2) AND (?3 IS NULL OR NOT EXISTS (SELECT 1 FROM grade AS other "
    "WHERE other.generation = generation.id AND other.fingerprint = problem.fingerprint AND other.grader = ?3 "
    "AND other.outcome <> 'ungraded')) ORDER BY problem, thread";

static gboolean walk_method(ResultsStore *store, gint64 method, const char *task, const char *grader,
                            ResultsThreadFunc func, gpointer user_data, gboolean *go_on, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) walk = results_db_prepare(store, error, walk_sql, "iss", method, task, grader);
  if (!walk) return FALSE;
  while (*go_on && results_db_next(store, walk, &ok, error)) {
    ResultsThread thread = {
        .generation = sqlite3_column_int64(walk, 0),
        .problem = sqlite3_column_int64(walk, 1),
        .method = sqlite3_column_int64(walk, 2),
        .task = results_column_string(walk, 3),
        .problem_id = results_column_string(walk, 4),
        .thread = sqlite3_column_int(walk, 5),
        .n_tokens = sqlite3_column_int(walk, 6),
        .text = (const char *)sqlite3_column_text(walk, 8),
        .text_length = (gsize)sqlite3_column_bytes(walk, 8),
        .outcome = (const char *)sqlite3_column_text(walk, 9),
    };
    if (!results_finish_parse(results_column_string(walk, 7), &thread.finish))
      return results_corrupt(store, "a generation ended in no known way", error);
    if (!thread.text) thread.text = "";
    *go_on = func(&thread, user_data);
  }
  return ok;
}

gboolean results_threads(ResultsStore *store, gint64 run, const char *task, const char *grader, ResultsThreadFunc func,
                         gpointer user_data, GError **error) {
  gboolean ok = TRUE, go_on = TRUE;
  g_autoptr(sqlite3_stmt) methods =
      results_db_prepare(store, error, "SELECT id FROM method WHERE run = ? ORDER BY id", "i", run);
  if (!methods) return FALSE;
  while (go_on && results_db_next(store, methods, &ok, error))
    if (!walk_method(store, sqlite3_column_int64(methods, 0), task, grader, func, user_data, &go_on, error))
      return FALSE;
  return ok;
}

static const char whole_sql[] =
    "SELECT method.name, task.name, problem.name, prompt_text, completion.text, outcome, answer, rule, detail, gold, "
    "official, real, cr, thread.thread, n_tokens, finish, prompt_length, prompt, tokens, live FROM method "
    "JOIN task ON task.run = method.run JOIN problem ON problem.task = task.id "
    "JOIN thread ON thread.method = method.id AND thread.problem = problem.id "
    "JOIN generation ON generation.id = thread.generation JOIN trace ON trace.generation = generation.id "
    "LEFT JOIN completion ON completion.generation = generation.id "
    "LEFT JOIN grade ON grade.generation = generation.id AND grade.fingerprint = problem.fingerprint "
    "AND grade.grader = task.grader WHERE method.id = ? AND task.name = ? AND problem.name = ? AND thread.thread = ?";

static gboolean read_ids(sqlite3_stmt *row, int column, ResultsDecoder *decoder, int n, int32_t **ids, GError **error) {
  if (sqlite3_column_type(row, column) == SQLITE_NULL) return TRUE; /* an export without texts */
  gsize size = (gsize)sqlite3_column_bytes(row, column);
  *ids = g_new(int32_t, (gsize)n + 1);
  return results_tokens_decode(decoder, sqlite3_column_blob(row, column), size, *ids, n, error);
}

static gboolean read_whole(ResultsStore *store, sqlite3_stmt *row, ResultsText *text, GError **error) {
  char **strings[] = {&text->method, &text->task,    &text->problem_id, &text->prompt_text,
                      &text->text,   &text->outcome, &text->answer,     &text->rule,
                      &text->detail, &text->gold,    &text->official,   &text->real};
  for (guint i = 0; i < G_N_ELEMENTS(strings); i++) *strings[i] = results_column_text(row, (int)i);
  text->text_length = (gsize)sqlite3_column_bytes(row, 4);
  text->cr = sqlite3_column_double(row, 12);
  text->thread = sqlite3_column_int(row, 13);
  gint64 n_tokens = sqlite3_column_int64(row, 14), prompt_length = sqlite3_column_int64(row, 16);
  gboolean sane = results_finish_parse(results_column_string(row, 15), &text->finish) &&
                  results_blob_holds((gsize)sqlite3_column_bytes(row, 19), n_tokens) &&
                  (sqlite3_column_type(row, 17) == SQLITE_NULL ||
                   results_blob_holds((gsize)sqlite3_column_bytes(row, 17), prompt_length)) &&
                  prompt_length <= G_MAXINT;
  if (!sane) return results_corrupt(store, "a generation has a damaged row", error);
  text->n_tokens = (int)n_tokens;
  text->prompt_length = (int)prompt_length;
  text->live = g_new(uint64_t, (gsize)n_tokens + 1);
  g_autoptr(ResultsDecoder) decoder = results_decoder_new();
  return read_ids(row, 17, decoder, text->prompt_length, &text->prompt, error) &&
         read_ids(row, 18, decoder, text->n_tokens, &text->tokens, error) &&
         results_live_decode(decoder, sqlite3_column_blob(row, 19), (gsize)sqlite3_column_bytes(row, 19), text->live,
                             text->n_tokens, error);
}

gboolean results_text(ResultsStore *store, gint64 method, const char *task, const char *problem_id, int thread,
                      ResultsText *text, GError **error) {
  gboolean row, ok = FALSE;
  *text = (ResultsText){0};
  g_autoptr(sqlite3_stmt) whole = results_db_prepare(store, error, whole_sql, "issn", method, task, problem_id, thread);
  if (!whole || !results_db_step(store, whole, &row, error)) return FALSE;
  if (row)
    ok = read_whole(store, whole, text, error);
  else
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING,
                "%s: no thread %d of problem %s of %s for method %" G_GINT64_FORMAT, store->path, thread, problem_id,
                task, method);
  if (!ok) results_text_clear(text);
  return ok;
}

void results_text_clear(ResultsText *text) {
  char *strings[] = {text->method, text->task, text->problem_id, text->prompt_text, text->text,     text->outcome,
                     text->answer, text->rule, text->detail,     text->gold,        text->official, text->real};
  for (guint i = 0; i < G_N_ELEMENTS(strings); i++) g_free(strings[i]);
  g_free(text->prompt);
  g_free(text->tokens);
  g_free(text->live);
  *text = (ResultsText){0};
}
