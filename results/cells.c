/* From threads to cells. One pass over the threads of a method and task in the order of the store; each problem is handed to a pool of
 * workers as soon as its threads are read, so that inflating traces and counting subsets run beside SQLite. A cell depends on its own
 * problem only, so the workers' order does not matter. */
#include "results/cells.h"

#include <math.h>
#include <string.h>

#include "results/generation.h"
#include "results/peak.h"
#include "results/statistics.h"
#include "results/store.h"
#include "results/trace.h"
#include "results/vote.h"

#define MOST_WAITING 64 /* problems between reader and workers */

typedef struct {
  int n_tokens, share; /* share: its outcome if it is not cut */
  gboolean stopped;
  double seconds_prefill, seconds_decode, seconds_device;
  char *answer;
  GBytes *trace;
} Thread;

static void thread_clear(gpointer data) {
  Thread *thread = data;
  g_free(thread->answer);
  g_bytes_unref(thread->trace);
}

/* One problem under one method. */
typedef struct {
  guint problem;
  int prompt_length;
  GArray *threads; /* Thread */
} Job;

/* What a worker needs and keeps from job to job. */
typedef struct {
  ResultsDecoder *decoder;
  ResultsVoter *voter;
} Tools;

typedef struct {
  ResultsCells *cells;
  guint slot;
  double scale; /* from the sum over layers and KV heads to the mean */
  uint64_t seed;
  GAsyncQueue *tools;
  GMutex lock;
  GCond less;
  guint waiting;
  GError *error; /* the first */
} Reading;

/* ---- One problem --------------------------------------------------------------------------------------------------------------- */

/* What thread `i` is at a budget of `length` tokens; -1: not known, for it was run for fewer and had not stopped. */
static int share_at(const Thread *thread, int length) {
  if (thread->share == SHARE_ERROR) return SHARE_ERROR;
  if (thread->n_tokens > length) return SHARE_TRUNCATED;
  if (thread->stopped) return thread->share;
  return thread->n_tokens == length ? SHARE_TRUNCATED : -1;
}

static gboolean is_known(int share) {
  return share >= 0 && share != SHARE_ERROR && share != SHARE_UNGRADED;
}

/* Numbers for the answers: 0 correct, 1.. wrong ones that are spelled alike, RESULTS_NO_VOTE. All correct answers equal the gold. */
static void number_answers(const GArray *threads, int *group) {
  g_autoptr(GHashTable) numbers = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < threads->len; i++) {
    const Thread *thread = &g_array_index(threads, Thread, i);
    group[i] = thread->share == SHARE_CORRECT ? 0 : RESULTS_NO_VOTE;
    if (thread->share != SHARE_WRONG || !thread->answer) continue;
    gpointer number = g_hash_table_lookup(numbers, thread->answer);
    if (!number) g_hash_table_insert(numbers, thread->answer, number = GINT_TO_POINTER(g_hash_table_size(numbers) + 1));
    group[i] = GPOINTER_TO_INT(number);
  }
}

static int compare_int(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Mean over all subsets of w of value[0..n), which is sorted, of their largest. */
static double mean_largest(const double *sorted, int n, int w) {
  double mean = 0, share = (double)w / n; /* of the subsets, those whose largest is sorted[k]; from the top down */
  for (int k = n - 1; k >= w - 1; k--) {
    mean += share * sorted[k];
    if (k > 0) share *= (double)(k - w + 1) / k;
  }
  return mean;
}

/* A worker's view of one problem: what the threads are at one L after the other. */
typedef struct {
  const Reading *reading;
  const Job *job;
  int n;
  uint64_t **trace;             /* [n][n_tokens] */
  gboolean *known;              /* [n_lengths, n] */
  int *group;                   /* [n] */
  uint64_t *read;               /* [n] sum of the trace up to the L in hand */
  double *peak, *peak_variance; /* [n_lengths, n_threads] */
} Problem;

static void problem_clear(Problem *problem) {
  for (int i = 0; i < problem->n; i++) g_free(problem->trace[i]);
  g_free(problem->trace);
  g_free(problem->known);
  g_free(problem->group);
  g_free(problem->read);
  g_free(problem->peak);
  g_free(problem->peak_variance);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Problem, problem_clear)

static const Thread *thread_of(const Problem *problem, int i) {
  return &g_array_index(problem->job->threads, Thread, i);
}

static gboolean inflate_traces(Problem *problem, ResultsDecoder *decoder, GError **error) {
  for (int i = 0; i < problem->n; i++) {
    int n_tokens = thread_of(problem, i)->n_tokens;
    gsize size;
    const void *blob = g_bytes_get_data(thread_of(problem, i)->trace, &size);
    problem->trace[i] = g_new(uint64_t, (gsize)n_tokens + 1);
    if (!results_live_decode(decoder, blob, size, problem->trace[i], n_tokens, error)) return FALSE;
  }
  return TRUE;
}

static void find_peaks(Problem *problem, const char *name) {
  const ResultsCells *cells = problem->reading->cells;
  g_autofree int *length = g_new(int, (gsize)problem->n);
  for (int i = 0; i < problem->n; i++) length[i] = thread_of(problem, i)->n_tokens;
  results_peaks((const uint64_t *const *)problem->trace, length, problem->n, cells->lengths, cells->n_lengths,
                cells->threads, cells->n_threads, problem->known,
                results_random_state(problem->reading->seed + 1, name), problem->peak, problem->peak_variance);
}

/* The threads with a known outcome at one L, together. */
typedef struct {
  int n;
  double reads, tokens, positions, device, prefill;
  double *seconds; /* [n] of decoding, ascending */
  int *voting;     /* [n] the numbers of their answers */
} Known;

static void sum_known(Problem *problem, int l, int before, Known *known, double *share) {
  int length = problem->reading->cells->lengths[l];
  for (int i = 0; i < problem->n; i++) {
    const Thread *thread = thread_of(problem, i);
    int outcome = share_at(thread, length), cut = MIN(thread->n_tokens, length);
    for (int t = before; t < cut; t++) problem->read[i] += problem->trace[i][t];
    if (outcome >= 0) share[l * SHARES + outcome]++;
    if (!problem->known[l * problem->n + i]) continue;
    double part = thread->n_tokens ? (double)cut / thread->n_tokens : 1; /* all steps of a thread take alike long */
    known->reads += (double)problem->read[i];
    known->tokens += cut;
    known->positions += (double)cut * problem->job->prompt_length + (double)cut * (cut - 1) / 2;
    known->device += thread->seconds_device * part;
    known->prefill += thread->seconds_prefill;
    known->seconds[known->n] = thread->seconds_decode * part;
    known->voting[known->n++] = outcome == SHARE_TRUNCATED ? RESULTS_NO_VOTE : problem->group[i];
  }
  if (known->n > 1) qsort(known->seconds, (gsize)known->n, sizeof *known->seconds, compare_double);
}

static void fill_cells(const Problem *problem, int l, const Known *known, const ResultsVote *vote) {
  const ResultsCells *cells = problem->reading->cells;
  for (int w = 0; w < cells->n_threads && cells->threads[w] <= known->n; w++) {
    double scale = problem->reading->scale, threads = cells->threads[w], each = threads / known->n;
    gsize at = results_cell(cells, problem->job->problem, problem->reading->slot, l, w);
    double *value = cells->value + at * CELL_QUANTITIES, *extra = cells->extra + at * EXTRA_QUANTITIES;
    value[CELL_PRESENT] = 1;
    value[CELL_ACCURACY] = vote[w].accuracy;
    value[CELL_READS] = known->reads * scale * each;
    value[CELL_PEAK] = problem->peak[l * cells->n_threads + w] * scale;
    value[CELL_TOKENS] = known->tokens * each;
    value[CELL_SECONDS] = known->prefill / known->n + mean_largest(known->seconds, known->n, cells->threads[w]);
    value[CELL_DEVICE] = known->device * each;
    extra[EXTRA_POSITIONS] = known->positions * each;
    extra[EXTRA_VARIANCE] = vote[w].variance;
    extra[EXTRA_SUBSET_VARIANCE] = vote[w].subset_variance;
    extra[EXTRA_PEAK_VARIANCE] = problem->peak_variance[l * cells->n_threads + w] * scale * scale;
  }
}

static gboolean do_problem(const Reading *reading, const Job *job, Tools *tools, double *share, GError **error) {
  const ResultsCells *cells = reading->cells;
  gsize n = job->threads->len, n_cells = (gsize)cells->n_lengths * (gsize)cells->n_threads;
  g_auto(Problem) problem = {.reading = reading,
                             .job = job,
                             .n = (int)n,
                             .trace = g_new0(uint64_t *, n),
                             .known = g_new(gboolean, n * (gsize)cells->n_lengths),
                             .group = g_new(int, n),
                             .read = g_new0(uint64_t, n),
                             .peak = g_new(double, n_cells),
                             .peak_variance = g_new(double, n_cells)};
  g_autofree double *seconds = g_new(double, n);
  g_autofree int *voting = g_new(int, n);
  g_autofree ResultsVote *vote = g_new0(ResultsVote, (gsize)cells->n_threads);
  const char *name = g_ptr_array_index(cells->problem, job->problem);
  if (!inflate_traces(&problem, tools->decoder, error)) return FALSE;
  for (int l = 0; l < cells->n_lengths; l++)
    for (int i = 0; i < problem.n; i++)
      problem.known[l * problem.n + i] = is_known(share_at(thread_of(&problem, i), cells->lengths[l]));
  number_answers(job->threads, problem.group);
  find_peaks(&problem, name);
  for (int l = 0; l < cells->n_lengths; l++) {
    Known known = {.seconds = seconds, .voting = voting};
    sum_known(&problem, l, l ? cells->lengths[l - 1] : 0, &known, share);
    if (!known.n) continue;
    results_vote(tools->voter, voting, known.n, results_random_state(reading->seed, name), vote);
    fill_cells(&problem, l, &known, vote);
  }
  return TRUE;
}

/* ---- The pipeline -------------------------------------------------------------------------------------------------------------- */

static void job_free(Job *job) {
  g_array_unref(job->threads);
  g_free(job);
}

static void work(gpointer data, gpointer user_data) {
  Job *job = data;
  Reading *reading = user_data;
  const ResultsCells *cells = reading->cells;
  gsize n_shares = (gsize)cells->n_lengths * SHARES;
  g_autofree double *share = g_new0(double, n_shares);
  g_autoptr(GError) error = NULL;
  Tools *tools = g_async_queue_pop(reading->tools);
  do_problem(reading, job, tools, share, &error);
  g_async_queue_push(reading->tools, tools);
  job_free(job);
  g_mutex_lock(&reading->lock);
  for (gsize i = 0; i < n_shares; i++) cells->share[reading->slot * n_shares + i] += share[i];
  if (error && !reading->error) reading->error = g_steal_pointer(&error);
  reading->waiting--;
  g_cond_signal(&reading->less);
  g_mutex_unlock(&reading->lock);
}

static gboolean hand_over(Reading *reading, GThreadPool *pool, Job *job) {
  g_mutex_lock(&reading->lock);
  while (reading->waiting >= MOST_WAITING) g_cond_wait(&reading->less, &reading->lock);
  gboolean go_on = !reading->error;
  reading->waiting++;
  g_mutex_unlock(&reading->lock);
  g_thread_pool_push(pool, job, NULL);
  return go_on;
}

static int share_parse(const char *outcome) {
  static const char *const names[SHARES] = {"correct", "wrong", "no_answer", "truncated", "error", "ungraded"};
  for (int i = 0; i < SHARES; i++)
    if (g_strcmp0(outcome, names[i]) == 0) return i;
  return SHARE_UNGRADED;
}

static const char threads_sql[] =
    "SELECT problem.id, problem.name, prompt_length, n_tokens, finish, seconds_prefill, seconds_decode, "
    "seconds_device, outcome, answer, "
    "live FROM thread CROSS JOIN problem ON problem.id = thread.problem AND problem.task = ?2 "
    "CROSS JOIN generation ON generation.id = thread.generation CROSS JOIN trace ON trace.generation = generation.id "
    "LEFT JOIN grade ON grade.generation = generation.id AND grade.fingerprint = problem.fingerprint AND grade.grader "
    "= ?3 "
    "WHERE thread.method = ?1 ORDER BY thread.problem, thread.thread";

static gboolean read_thread(ResultsStore *store, sqlite3_stmt *row, Thread *thread, GError **error) {
  ResultsFinish finish;
  gsize size = (gsize)sqlite3_column_bytes(row, 10);
  gint64 n_tokens = sqlite3_column_int64(row, 3);
  if (!results_finish_parse((const char *)sqlite3_column_text(row, 4), &finish) || !results_blob_holds(size, n_tokens))
    return results_corrupt(store, "a generation has a damaged row", error);
  *thread = (Thread){.n_tokens = (int)n_tokens,
                     .share = finish == RESULTS_FINISH_ERROR ? SHARE_ERROR
                                                             : share_parse((const char *)sqlite3_column_text(row, 8)),
                     .stopped = finish == RESULTS_FINISH_STOP,
                     .seconds_prefill = sqlite3_column_double(row, 5),
                     .seconds_decode = sqlite3_column_double(row, 6),
                     .seconds_device = results_column_double(row, 7),
                     .answer = results_column_text(row, 9),
                     .trace = g_bytes_new(sqlite3_column_blob(row, 10), size)};
  return TRUE;
}

/* A job for the problem that a row begins; NULL with `error` unset for one that the cells do not have. */
static Job *begin_job(const ResultsCells *cells, ResultsStore *store, sqlite3_stmt *row, guint8 *seen, GError **error) {
  const char *name = (const char *)sqlite3_column_text(row, 1);
  guint place = GPOINTER_TO_UINT(g_hash_table_lookup(cells->index, name));
  if (place == 0) return NULL;
  if (seen[place - 1]++) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_CONFLICT,
                "%s: problem %s was put to one method as two prompts; they are not mixed: start a new run", store->path,
                name);
    return NULL;
  }
  Job *job = g_new(Job, 1);
  *job = (Job){.problem = place - 1,
               .prompt_length = sqlite3_column_int(row, 2),
               .threads = g_array_new(FALSE, FALSE, sizeof(Thread))};
  g_array_set_clear_func(job->threads, thread_clear);
  return job;
}

static gboolean read_problems(Reading *reading, GThreadPool *pool, ResultsStore *store, sqlite3_stmt *rows,
                              GError **error) {
  g_autofree guint8 *seen = g_new0(guint8, reading->cells->n_problems + 1);
  gint64 problem = 0;
  Job *job = NULL;
  gboolean ok = TRUE;
  while (ok && results_db_next(store, rows, &ok, error)) {
    if (sqlite3_column_int64(rows, 0) != problem) {
      if (job) ok = hand_over(reading, pool, job);
      GError *failure = NULL;
      job = begin_job(reading->cells, store, rows, seen, &failure);
      problem = sqlite3_column_int64(rows, 0);
      if (failure) {
        g_propagate_error(error, failure);
        return FALSE;
      }
    }
    if (!job) continue;
    Thread thread;
    if (ok) ok = read_thread(store, rows, &thread, error);
    if (ok) g_array_append_val(job->threads, thread);
  }
  if (job) hand_over(reading, pool, job);
  return ok;
}

static gboolean parse_rule(const char *aggregate, const char *ties, ResultsVoteRule *rule, GError **error) {
  gboolean first = g_strcmp0(ties, "first") == 0;
  if (ties && !first && !g_str_equal(ties, "mean")) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING, "ties are decided by 'mean' or 'first', not by '%s'",
                ties);
    return FALSE;
  }
  *rule = g_str_equal(aggregate, "pass") ? RESULTS_PASS : first ? RESULTS_MAJ_FIRST : RESULTS_MAJ_MEAN;
  return TRUE;
}

gboolean results_cells_read(ResultsCells *cells, ResultsStore *store, gint64 run, const ResultsTaskInfo *task,
                            const ResultsMethodInfo *method, guint slot, const ResultsGrid *grid, GError **error) {
  ResultsVoteRule rule;
  gint64 task_id = 0;
  if (!parse_rule(task->aggregate, grid->ties, &rule, error) ||
      !results_db_integer(store, &task_id, error, "SELECT id FROM task WHERE run = ? AND name = ?", "is", run,
                          task->name))
    return FALSE;
  g_autoptr(sqlite3_stmt) rows =
      results_db_prepare(store, error, threads_sql, "iis", method->id, task_id, task->grader);
  if (!rows) return FALSE;
  Reading reading = {.cells = cells,
                     .slot = slot,
                     .scale = 1.0 / ((double)method->layers * method->kv_heads),
                     .seed = grid->seed,
                     .tools = g_async_queue_new()};
  int workers = (int)g_get_num_processors();
  for (int i = 0; i < workers; i++) {
    Tools *tools = g_new(Tools, 1);
    *tools = (Tools){results_decoder_new(), results_voter_new(rule, cells->threads, cells->n_threads)};
    g_async_queue_push(reading.tools, tools);
  }
  g_mutex_init(&reading.lock);
  g_cond_init(&reading.less);
  GThreadPool *pool = g_thread_pool_new(work, &reading, workers, FALSE, NULL);
  gboolean ok = read_problems(&reading, pool, store, rows, error);
  g_thread_pool_free(pool, FALSE, TRUE);
  if (reading.error) {
    if (ok || (error && !*error))
      g_propagate_prefixed_error(error, g_steal_pointer(&reading.error), "%s: ", store->path);
    ok = FALSE;
  }
  g_clear_error(&reading.error);
  for (Tools *tools; (tools = g_async_queue_try_pop(reading.tools));) {
    results_decoder_free(tools->decoder);
    results_voter_free(tools->voter);
    g_free(tools);
  }
  g_async_queue_unref(reading.tools);
  g_mutex_clear(&reading.lock);
  g_cond_clear(&reading.less);
  return ok;
}

/* ---- Room ---------------------------------------------------------------------------------------------------------------------- */

/* The positive ones, ascending, each once. */
static int *sort_budgets(const int *budgets, int n, int *n_sorted) {
  int *sorted = g_memdup2(budgets, (gsize)n * sizeof *budgets);
  *n_sorted = 0;
  if (n > 1) qsort(sorted, (gsize)n, sizeof *sorted, compare_int);
  for (int i = 0; i < n; i++)
    if (sorted[i] > 0 && (*n_sorted == 0 || sorted[*n_sorted - 1] != sorted[i])) sorted[(*n_sorted)++] = sorted[i];
  return sorted;
}

GPtrArray *results_problem_names(ResultsStore *store, gint64 run, const char *task, GError **error) {
  gboolean ok;
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      store, error,
      "SELECT problem.name FROM task JOIN problem ON problem.task = task.id WHERE task.run = ? AND task.name = ? "
      "GROUP BY problem.name ORDER BY problem.name",
      "is", run, task);
  if (!rows) return NULL;
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  while (results_db_next(store, rows, &ok, error)) g_ptr_array_add(names, results_column_text(rows, 0));
  return ok ? g_steal_pointer(&names) : NULL;
}

ResultsCells *results_cells_new(GPtrArray *problems, const ResultsGrid *grid, guint n_methods, GError **error) {
  g_autoptr(ResultsCells) cells = g_new0(ResultsCells, 1);
  cells->problem = problems;
  cells->n_problems = problems->len;
  cells->n_methods = n_methods;
  cells->index = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint p = 0; p < problems->len; p++)
    g_hash_table_insert(cells->index, g_ptr_array_index(problems, p), GUINT_TO_POINTER(p + 1));
  cells->lengths = sort_budgets(grid->lengths, grid->n_lengths, &cells->n_lengths);
  cells->threads = sort_budgets(grid->threads, grid->n_threads, &cells->n_threads);
  if (cells->n_lengths == 0 || cells->n_threads == 0) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING,
                "a grid needs at least one length and one number of threads, above 0");
    return NULL;
  }
  gsize n_cells = results_cell(cells, cells->n_problems, 0, 0, 0);
  cells->value = g_try_new0(double, n_cells *CELL_QUANTITIES + 1);
  cells->extra = g_try_new0(double, n_cells *EXTRA_QUANTITIES + 1);
  cells->share = g_new0(double, n_methods *(gsize)cells->n_lengths *SHARES + 1);
  if (cells->value && cells->extra) return g_steal_pointer(&cells);
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING,
              "%" G_GSIZE_FORMAT " budgets do not fit into memory; ask for a coarser grid", n_cells);
  return NULL;
}

void results_cells_free(ResultsCells *cells) {
  if (!cells) return;
  g_ptr_array_unref(cells->problem);
  g_hash_table_destroy(cells->index);
  g_free(cells->lengths);
  g_free(cells->threads);
  g_free(cells->value);
  g_free(cells->extra);
  g_free(cells->share);
  g_free(cells);
}
