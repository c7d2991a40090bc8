/* Generations and grades: what is content-addressed. A key names a thread's whole, endless text; what the store has of
 * it only ever grows longer, so runs of several budgets, and runs that were killed, share one generation. */
#include <math.h>
#include <string.h>

#include "results/generation.h"
#include "results/store.h"
#include "results/trace.h"

static void hash_bytes(GChecksum *sum, const void *data, gsize size) {
  guint64 length = GUINT64_TO_LE((guint64)size);
  g_checksum_update(sum, (const guchar *)&length, sizeof length);
  g_checksum_update(sum, data, (gssize)size);
}

static void hash_text(GChecksum *sum, const char *text) {
  hash_bytes(sum, text, strlen(text));
}

static void hash_integer(GChecksum *sum, gint64 value) {
  gint64 little = GINT64_TO_LE(value);
  hash_bytes(sum, &little, sizeof little);
}

static void hash_float(GChecksum *sum, float value) {
  guint32 bits;
  memcpy(&bits, &value, sizeof bits);
  hash_integer(sum, bits);
}

char *results_generation_key(const ResultsMethod *method, const int32_t *prompt, int prompt_length, uint64_t seed,
                             const char *task, const char *problem, int thread) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  hash_text(sum, "hyperscale generation 1");
  hash_text(sum, method->model.fingerprint);
  hash_text(sum, method->policy);
  hash_float(sum, method->temperature);
  hash_float(sum, method->top_p);
  hash_integer(sum, method->top_k);
  hash_integer(sum, (gint64)seed);
  hash_text(sum, task);
  hash_text(sum, problem);
  hash_integer(sum, thread);
  hash_integer(sum, prompt_length);
  for (int i = 0; i < prompt_length; i++) hash_integer(sum, prompt[i]);
  return g_strdup(g_checksum_get_string(sum));
}

gboolean results_thread_link(ResultsStore *store, gint64 method, gint64 problem, int thread, gint64 generation,
                             GError **error) {
  return results_db_run(store, error,
                        "INSERT INTO thread (method, problem, thread, generation) VALUES (?1, ?2, ?3, ?4) "
                        "ON CONFLICT DO UPDATE SET generation = ?4",
                        "iini", method, problem, thread, generation);
}

gboolean results_generation_reuse(ResultsStore *store, gint64 method, gint64 problem, int thread, const char *key,
                                  int max_new_tokens, gboolean *reused, GError **error) {
  gint64 generation = 0;
  *reused = FALSE;
  if (!results_db_integer(
          store, &generation, error,
          "SELECT id FROM generation WHERE key = ? AND (finish = 'stop' OR finish = 'length' AND n_tokens >= ?)", "sn",
          key, max_new_tokens))
    return FALSE;
  if (!generation) return TRUE;
  if (!results_db_enter(store, error)) return FALSE;
  *reused = results_db_leave(store, results_thread_link(store, method, problem, thread, generation, error), error);
  return *reused;
}

/* ---- Adding ------------------------------------------------------------------------------------------------------ */

static const char *finish_name(ResultsFinish finish) {
  static const char *const names[] = {"stop", "length", "error"};
  return names[finish];
}

gboolean results_finish_parse(const char *name, ResultsFinish *finish) {
  for (int i = RESULTS_FINISH_STOP; i <= RESULTS_FINISH_ERROR; i++)
    if (g_strcmp0(name, finish_name((ResultsFinish)i)) == 0) {
      *finish = (ResultsFinish)i;
      return TRUE;
    }
  return FALSE;
}

/* What the store has under a key. */
typedef struct {
  gint64 id;
  int n_tokens;
  ResultsFinish finish;
  int32_t *tokens;
  uint64_t *live;
} Stored;

static void stored_clear(Stored *stored) {
  g_free(stored->tokens);
  g_free(stored->live);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stored, stored_clear)

static gboolean stored_read(ResultsStore *store, const char *key, Stored *stored, GError **error) {
  gboolean row;
  g_autoptr(sqlite3_stmt) statement = results_db_prepare(
      store, error,
      "SELECT id, n_tokens, finish, live, tokens FROM generation JOIN trace ON trace.generation = id "
      "JOIN completion ON completion.generation = id WHERE key = ?",
      "s", key);
  if (!statement || !results_db_step(store, statement, &row, error)) return FALSE;
  if (!row) return TRUE;
  gint64 n = sqlite3_column_int64(statement, 1);
  gsize live_size = (gsize)sqlite3_column_bytes(statement, 3), tokens_size = (gsize)sqlite3_column_bytes(statement, 4);
  if (!results_blob_holds(live_size, n) || !results_blob_holds(tokens_size, n) ||
      !results_finish_parse(results_column_string(statement, 2), &stored->finish))
    return results_corrupt(store, "a generation has a damaged row", error);
  stored->id = sqlite3_column_int64(statement, 0);
  stored->n_tokens = (int)n;
  stored->tokens = g_new(int32_t, (gsize)n + 1);
  stored->live = g_new(uint64_t, (gsize)n + 1);
  g_autoptr(ResultsDecoder) decoder = results_decoder_new();
  return results_live_decode(decoder, sqlite3_column_blob(statement, 3), live_size, stored->live, (int)n, error) &&
         results_tokens_decode(decoder, sqlite3_column_blob(statement, 4), tokens_size, stored->tokens, (int)n, error);
}

/* The shorter of two generations of one key must be how the longer one begins, and one that stopped cannot go on. */
static gboolean check_same(const Stored *stored, const ResultsGeneration *generation, const char *key, GError **error) {
  int shared = MIN(stored->n_tokens, generation->n_tokens), i = 0;
  while (i < shared && stored->tokens[i] == generation->tokens[i] && stored->live[i] == generation->live[i]) i++;
  gboolean stops_alike =
      stored->n_tokens == generation->n_tokens
          ? stored->finish == generation->finish
          : (stored->n_tokens < generation->n_tokens ? stored->finish : generation->finish) == RESULTS_FINISH_LENGTH;
  if (i == shared && stops_alike) return TRUE;
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_CONFLICT,
              "generation %s is in the store with other content: from token %d on (%d tokens stored, %d now). The "
              "same model, prompt, sampling and seed gave another text, so program or device differ; write to a store "
              "of its own",
              key, i, stored->n_tokens, generation->n_tokens);
  return FALSE;
}

static gboolean check_generation(const ResultsGeneration *generation, uint64_t *sum, uint64_t *max, GError **error) {
  *sum = *max = 0;
  for (int i = 0; i < generation->n_tokens; i++) {
    *max = MAX(*max, generation->live[i]);
    if (__builtin_add_overflow(*sum, generation->live[i], sum)) *sum = G_MAXUINT64;
  }
  if (generation->n_tokens >= 0 && generation->n_tokens <= generation->max_new_tokens && *sum <= G_MAXINT64 &&
      generation->prefill_reads <= G_MAXINT64 &&
      (generation->finish != RESULTS_FINISH_STOP || generation->n_tokens > 0))
    return TRUE;
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_WRITE,
              "a generation of %d tokens (at most %d) that reads %" G_GUINT64_FORMAT
              " items is not one that a model can make",
              generation->n_tokens, generation->max_new_tokens, *sum);
  return FALSE;
}

#define GENERATION_COLUMNS                                                                                             \
  "n_tokens, max_new_tokens, finish, live_sum, live_max, prefill_reads, seconds_prefill, seconds_decode, "             \
  "seconds_device, device, message"
static const char put_sql[] =
    "INSERT INTO generation (key, " GENERATION_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) "
    "ON CONFLICT (key) DO UPDATE SET (" GENERATION_COLUMNS ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

static gboolean put_generation(ResultsStore *store, gint64 *id, const char *key, const ResultsGeneration *generation,
                               GError **error) {
  uint64_t sum, max;
  if (!check_generation(generation, &sum, &max, error) ||
      !results_db_run(store, error, put_sql, "snnsiiidddss", key, generation->n_tokens, generation->max_new_tokens,
                      finish_name(generation->finish), (gint64)sum, (gint64)max, (gint64)generation->prefill_reads,
                      generation->seconds_prefill, generation->seconds_decode,
                      generation->seconds_device > 0 ? generation->seconds_device : NAN,
                      generation->device ? generation->device : "", generation->message) ||
      !results_db_integer(store, id, error, "SELECT id FROM generation WHERE key = ?", "s", key))
    return FALSE;
  g_autoptr(GBytes) live = results_live_encode(generation->live, generation->n_tokens);
  g_autoptr(GBytes) tokens = results_tokens_encode(generation->tokens, generation->n_tokens);
  return results_db_run(store, error, "INSERT OR REPLACE INTO trace (generation, live) VALUES (?, ?)", "ib", *id,
                        g_bytes_get_data(live, NULL), g_bytes_get_size(live)) &&
         results_db_run(store, error, "INSERT OR REPLACE INTO completion (generation, tokens, text) VALUES (?, ?, ?)",
                        "ibt", *id, g_bytes_get_data(tokens, NULL), g_bytes_get_size(tokens), generation->text,
                        generation->text_length) &&
         /* of the shorter text that this one replaces */
         results_db_run(store, error, "DELETE FROM grade WHERE generation = ?", "i", *id);
}

gboolean results_generation_merge(ResultsStore *store, const char *key, const ResultsGeneration *generation, gint64 *id,
                                  gboolean *changed, GError **error) {
  g_auto(Stored) stored = {.id = 0};
  if (!stored_read(store, key, &stored, error)) return FALSE;
  gboolean failed = generation->finish == RESULTS_FINISH_ERROR;
  *id = stored.id;
  *changed = !stored.id ||
             (stored.finish == RESULTS_FINISH_ERROR ? !failed : !failed && generation->n_tokens > stored.n_tokens);
  if (stored.id && stored.finish != RESULTS_FINISH_ERROR && !failed && !check_same(&stored, generation, key, error))
    return FALSE;
  return !*changed || put_generation(store, id, key, generation, error);
}

gboolean results_generation_add(ResultsStore *store, gint64 method, gint64 problem, int thread, const char *key,
                                const ResultsGeneration *generation, GError **error) {
  gint64 id;
  gboolean changed;
  if (!results_db_enter(store, error)) return FALSE;
  gboolean ok = results_generation_merge(store, key, generation, &id, &changed, error) &&
                results_thread_link(store, method, problem, thread, id, error);
  return results_db_leave(store, ok, error);
}

/* ---- Grades ------------------------------------------------------------------------------------------------------ */

static char *grade_key(const char *generation_key, const char *fingerprint, const char *grader) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  hash_text(sum, "hyperscale grade 1");
  hash_text(sum, generation_key);
  hash_text(sum, fingerprint);
  hash_text(sum, grader);
  return g_strdup(g_checksum_get_string(sum));
}

gboolean results_grade_merge(ResultsStore *store, gint64 generation, const char *generation_key,
                             const char *fingerprint, const ResultsGrade *grade, gboolean *changed, gboolean *same,
                             GError **error) {
  g_autofree char *key = grade_key(generation_key, fingerprint, grade->grader);
  gint64 equal = 0;
  int before = sqlite3_total_changes(store->db);
  if (!results_db_run(
          store, error,
          "INSERT INTO grade (generation, fingerprint, grader, outcome, answer, rule, detail, official, real, "
          "sandbox, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
          "ON CONFLICT DO UPDATE SET outcome = ?4, answer = ?5, rule = ?6, detail = ?7, official = ?8, real = ?9, "
          "sandbox = ?10 WHERE outcome = 'ungraded' AND excluded.outcome <> 'ungraded'",
          "issssssssss", generation, fingerprint, grade->grader, grade->outcome, grade->answer, grade->rule,
          grade->detail, grade->official, grade->real, grade->sandbox, key) ||
      !results_db_integer(
          store, &equal, error,
          "SELECT outcome = ? AND answer IS ? FROM grade WHERE generation = ? AND fingerprint = ? AND grader = ?",
          "ssiss", grade->outcome, grade->answer, generation, fingerprint, grade->grader))
    return FALSE;
  *changed = sqlite3_total_changes(store->db) > before;
  *same = equal != 0;
  return TRUE;
}

static gboolean add_grade(ResultsStore *store, gint64 generation, gint64 problem, const ResultsGrade *grade,
                          GError **error) {
  gboolean row, changed, same;
  g_autoptr(sqlite3_stmt) statement = results_db_prepare(
      store, error,
      "SELECT generation.key, fingerprint FROM generation, problem WHERE generation.id = ? AND problem.id = ?", "ii",
      generation, problem);
  if (!statement || !results_db_step(store, statement, &row, error)) return FALSE;
  if (!row) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING,
                "%s: no generation %" G_GINT64_FORMAT " or no problem %" G_GINT64_FORMAT, store->path, generation,
                problem);
    return FALSE;
  }
  return results_grade_merge(store, generation, results_column_string(statement, 0),
                             results_column_string(statement, 1), grade, &changed, &same, error);
}

gboolean results_grade_add(ResultsStore *store, gint64 generation, gint64 problem, const ResultsGrade *grade,
                           GError **error) {
  if (!results_db_enter(store, error)) return FALSE;
  return results_db_leave(store, add_grade(store, generation, problem, grade, error), error);
}
