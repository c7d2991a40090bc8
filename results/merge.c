/* Stores written apart by shards of one run become one. Everything has a key that both sides agree on, so merging is
 * adding what is missing and comparing what is not. */
#include <string.h>

#include "results/generation.h"
#include "results/run.h"
#include "results/store.h"
#include "results/trace.h"

typedef struct {
  ResultsStore *from, *into;
  gint64 from_run, into_run;
  GHashTable *method, *problem; /* ids in `from` -> ids in `into` */
  ResultsMerged *merged;
  gboolean grown;
} Merge;

static gint64 *boxed(gint64 id) {
  return g_memdup2(&id, sizeof id);
}

static gint64 mapped(GHashTable *ids, gint64 id) {
  const gint64 *found = g_hash_table_lookup(ids, &id);
  return found ? *found : 0;
}

static const char *text_or_null(sqlite3_stmt *row, int column) {
  return (const char *)sqlite3_column_text(row, column);
}

/* ---- What a run is made of --------------------------------------------------------------------------------------- */

static gboolean merge_methods(Merge *merge, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      merge->from, error,
      "SELECT id, name, model, fingerprint, layers, kv_heads, item_bytes, policy, cr, temperature, top_p, top_k "
      "FROM method WHERE run = ? ORDER BY id",
      "i", merge->from_run);
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error)) {
    ResultsMethod method = {.name = results_column_string(rows, 1),
                            .model = {.name = results_column_string(rows, 2),
                                      .fingerprint = results_column_string(rows, 3),
                                      .layers = sqlite3_column_int(rows, 4),
                                      .kv_heads = sqlite3_column_int(rows, 5),
                                      .item_bytes = (gsize)sqlite3_column_int64(rows, 6)},
                            .policy = results_column_string(rows, 7),
                            .cr = sqlite3_column_double(rows, 8),
                            .temperature = (float)sqlite3_column_double(rows, 9),
                            .top_p = (float)sqlite3_column_double(rows, 10),
                            .top_k = sqlite3_column_int(rows, 11)};
    gint64 id = results_method_add(merge->into, merge->into_run, &method, error);
    ok = id != 0;
    if (ok) g_hash_table_insert(merge->method, boxed(sqlite3_column_int64(rows, 0)), boxed(id));
  }
  return ok;
}

static gboolean merge_problems(Merge *merge, gint64 from_task, gint64 into_task, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(ResultsDecoder) decoder = results_decoder_new();
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      merge->from, error,
      "SELECT id, name, fingerprint, option_order, gold, question, prompt_length, prompt, prompt_text FROM problem "
      "WHERE task = ? ORDER BY id",
      "i", from_task);
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error)) {
    gint64 length = sqlite3_column_int64(rows, 6);
    gsize size = (gsize)sqlite3_column_bytes(rows, 7);
    if (!results_blob_holds(size, length)) return results_corrupt(merge->from, "a prompt is damaged", error);
    g_autofree int32_t *prompt = g_new(int32_t, (gsize)length + 1);
    ResultsProblem problem = {.id = results_column_string(rows, 1),
                              .fingerprint = results_column_string(rows, 2),
                              .order = text_or_null(rows, 3),
                              .gold = text_or_null(rows, 4),
                              .question = text_or_null(rows, 5),
                              .prompt = prompt,
                              .prompt_length = (int)length,
                              .prompt_text = text_or_null(rows, 8)};
    gint64 id = 0;
    ok = results_tokens_decode(decoder, sqlite3_column_blob(rows, 7), size, prompt, (int)length, error) &&
         (id = results_problem_add(merge->into, into_task, &problem, error)) != 0;
    if (ok) g_hash_table_insert(merge->problem, boxed(sqlite3_column_int64(rows, 0)), boxed(id));
  }
  return ok;
}

static gboolean merge_tasks(Merge *merge, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) rows =
      results_db_prepare(merge->from, error,
                         "SELECT id, name, aggregate, style, source, grader, problems, max_threads, max_length "
                         "FROM task WHERE run = ? ORDER BY id",
                         "i", merge->from_run);
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error)) {
    ResultsTask task = {.name = results_column_string(rows, 1),
                        .aggregate = results_column_string(rows, 2),
                        .style = results_column_string(rows, 3),
                        .source = results_column_string(rows, 4),
                        .grader = results_column_string(rows, 5),
                        .problems = sqlite3_column_int(rows, 6),
                        .max_threads = sqlite3_column_int(rows, 7),
                        .max_length = sqlite3_column_int(rows, 8)};
    gint64 id = results_task_add(merge->into, merge->into_run, &task, error);
    ok = id != 0 && merge_problems(merge, sqlite3_column_int64(rows, 0), id, error);
  }
  return ok;
}

/* ---- Threads, generations, grades -------------------------------------------------------------------------------- */

static gboolean read_generation(const Merge *merge, sqlite3_stmt *row, ResultsDecoder *decoder, int32_t **tokens,
                                uint64_t **live, ResultsGeneration *generation, GError **error) {
  gint64 n = sqlite3_column_int64(row, 4), most = sqlite3_column_int64(row, 5);
  gsize tokens_size = (gsize)sqlite3_column_bytes(row, 13), live_size = (gsize)sqlite3_column_bytes(row, 14);
  if (!results_blob_holds(tokens_size, n) || !results_blob_holds(live_size, n) || most > G_MAXINT ||
      !results_finish_parse(results_column_string(row, 6), &generation->finish))
    return results_corrupt(merge->from, "a generation has a damaged row", error);
  *tokens = g_new(int32_t, (gsize)n + 1);
  *live = g_new(uint64_t, (gsize)n + 1);
  generation->tokens = *tokens;
  generation->live = *live;
  generation->n_tokens = (int)n;
  generation->max_new_tokens = (int)most;
  generation->prefill_reads = (uint64_t)sqlite3_column_int64(row, 7);
  generation->seconds_prefill = sqlite3_column_double(row, 8);
  generation->seconds_decode = sqlite3_column_double(row, 9);
  generation->seconds_device = sqlite3_column_double(row, 10);
  generation->device = results_column_string(row, 11);
  generation->message = text_or_null(row, 12);
  generation->text = results_column_string(row, 15);
  generation->text_length = (gsize)sqlite3_column_bytes(row, 15);
  return results_tokens_decode(decoder, sqlite3_column_blob(row, 13), tokens_size, *tokens, (int)n, error) &&
         results_live_decode(decoder, sqlite3_column_blob(row, 14), live_size, *live, (int)n, error);
}

/* Both stores must mean the same generation by one thread of one method. */
static gboolean merge_link(Merge *merge, gint64 method, gint64 problem, int thread, gint64 generation, GError **error) {
  gint64 known = 0;
  if (!results_db_integer(merge->into, &known, error,
                          "SELECT generation FROM thread WHERE method = ? AND problem = ? AND thread = ?", "iin",
                          method, problem, thread))
    return FALSE;
  if (known && known != generation) {
    g_set_error(
        error, RESULTS_ERROR, RESULTS_ERROR_CONFLICT,
        "%s: thread %d of one problem has another key than in %s: the two were not run from the same seed and settings",
        merge->from->path, thread, merge->into->path);
    return FALSE;
  }
  merge->merged->threads += !known;
  merge->grown |= !known;
  return known || results_thread_link(merge->into, method, problem, thread, generation, error);
}

static gboolean merge_grades(Merge *merge, gint64 from_generation, const char *key, gint64 into_generation,
                             GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      merge->from, error,
      "SELECT fingerprint, grader, outcome, answer, rule, detail, official, real, sandbox FROM grade "
      "WHERE generation = ? ORDER BY id",
      "i", from_generation);
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error)) {
    ResultsGrade grade = {.grader = results_column_string(rows, 1),
                          .outcome = results_column_string(rows, 2),
                          .answer = text_or_null(rows, 3),
                          .rule = text_or_null(rows, 4),
                          .detail = text_or_null(rows, 5),
                          .official = text_or_null(rows, 6),
                          .real = text_or_null(rows, 7),
                          .sandbox = text_or_null(rows, 8)};
    gboolean same, changed;
    ok = results_grade_merge(merge->into, into_generation, key, results_column_string(rows, 0), &grade, &changed, &same,
                             error);
    if (!ok) return FALSE;
    if (!same && !g_str_equal(grade.outcome, "ungraded")) {
      g_set_error(
          error, RESULTS_ERROR, RESULTS_ERROR_CONFLICT,
          "%s: grader %s calls generation %s %s, in %s it says otherwise; grade again with one version, then merge",
          merge->from->path, grade.grader, key, grade.outcome, merge->into->path);
      return FALSE;
    }
    merge->merged->grades += changed;
    merge->grown |= changed;
  }
  return ok;
}

static gboolean merge_thread(Merge *merge, sqlite3_stmt *row, ResultsDecoder *decoder, GError **error) {
  ResultsGeneration generation = {0};
  g_autofree int32_t *tokens = NULL;
  g_autofree uint64_t *live = NULL;
  gint64 problem = mapped(merge->problem, sqlite3_column_int64(row, 0)),
         method = mapped(merge->method, sqlite3_column_int64(row, 16));
  gint64 id, length = 0;
  gboolean changed;
  if (!problem) return results_corrupt(merge->from, "a thread belongs to a problem of another run", error);
  if (!read_generation(merge, row, decoder, &tokens, &live, &generation, error) ||
      !results_generation_merge(merge->into, results_column_string(row, 3), &generation, &id, &changed, error) ||
      !merge_link(merge, method, problem, sqlite3_column_int(row, 1), id, error) ||
      !results_db_integer(merge->into, &length, error, "SELECT n_tokens FROM generation WHERE id = ?", "i", id))
    return FALSE;
  merge->merged->generations += changed;
  merge->grown |= changed;
  if (length != generation.n_tokens) return TRUE; /* its grades are of a shorter text than the store now has */
  return merge_grades(merge, sqlite3_column_int64(row, 2), results_column_string(row, 3), id, error);
}

static gboolean merge_threads(Merge *merge, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(ResultsDecoder) decoder = results_decoder_new();
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      merge->from, error,
      "SELECT problem, thread, generation.id, key, n_tokens, max_new_tokens, finish, prefill_reads, seconds_prefill, "
      "seconds_decode, seconds_device, device, message, tokens, live, text, method FROM method "
      "JOIN thread ON thread.method = method.id JOIN generation ON generation.id = thread.generation "
      "JOIN trace ON trace.generation = generation.id JOIN completion ON completion.generation = generation.id "
      "WHERE method.run = ?",
      "i", merge->from_run);
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error)) ok = merge_thread(merge, rows, decoder, error);
  return ok;
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static gboolean merge_invocations(const Merge *merge, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      merge->from, error, "SELECT started, version, machine FROM invocation WHERE run = ? ORDER BY id", "i",
      merge->from_run);
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error))
    ok = results_db_run(merge->into, error,
                        "INSERT INTO invocation (run, started, version, machine) SELECT ?1, ?2, ?3, ?4 "
                        "WHERE NOT EXISTS (SELECT 1 FROM invocation "
                        "WHERE run = ?1 AND started = ?2 AND version = ?3 AND machine = ?4)",
                        "isss", merge->into_run, results_column_string(rows, 0), results_column_string(rows, 1),
                        results_column_string(rows, 2));
  return ok;
}

static gboolean merge_run(Merge *merge, sqlite3_stmt *row, GError **error) {
  ResultsRun run = {.name = results_column_string(row, 1),
                    .plan = results_column_string(row, 2),
                    .seed = g_ascii_strtoull(results_column_string(row, 3), NULL, 10),
                    .partial = sqlite3_column_int(row, 4)};
  gint64 before = 0, after = 0;
  merge->from_run = sqlite3_column_int64(row, 0);
  merge->grown = FALSE;
  merge->method = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  merge->problem = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  gboolean ok = results_db_integer(merge->into, &before, error, "SELECT count(*) FROM run", "") &&
                results_run_find_or_add(merge->into, &run, results_column_string(row, 5), &merge->into_run, error) &&
                results_db_integer(merge->into, &after, error, "SELECT count(*) FROM run", "") &&
                merge_invocations(merge, error) && merge_methods(merge, error) && merge_tasks(merge, error) &&
                merge_threads(merge, error) &&
                (!merge->grown || results_forget_derived(merge->into, merge->into_run, error));
  merge->merged->runs += (guint)(after - before);
  g_hash_table_destroy(merge->method);
  g_hash_table_destroy(merge->problem);
  return ok;
}

static gboolean merge_runs(Merge *merge, GError **error) {
  gboolean ok = TRUE;
  gint64 texts = 0;
  if (!results_db_integer(merge->from, &texts, error, "SELECT texts FROM store", "")) return FALSE;
  if (!texts) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_OPEN,
                "%s: is an export without texts; merge the store that it was made from", merge->from->path);
    return FALSE;
  }
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      merge->from, error, "SELECT id, plan_name, plan, seed, partial, created FROM run ORDER BY id", "");
  if (!rows) return FALSE;
  while (ok && results_db_next(merge->from, rows, &ok, error)) ok = merge_run(merge, rows, error);
  return ok;
}

gboolean results_merge(ResultsStore *store, const char *path, ResultsMerged *merged, GError **error) {
  *merged = (ResultsMerged){0};
  Merge merge = {.into = store, .merged = merged, .from = results_open(path, RESULTS_READ, error)};
  if (!merge.from) return FALSE;
  gboolean began = FALSE, ok = results_db_snapshot(merge.from, &began, error) && results_begin(store, error) &&
                               merge_runs(&merge, error);
  if (ok) ok = results_commit(store, error);
  if (!ok) results_db_rollback(store);
  results_db_snapshot_end(merge.from, began);
  results_close(merge.from);
  if (!ok) *merged = (ResultsMerged){0};
  return ok;
}
