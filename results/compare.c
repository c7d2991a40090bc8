/* Two methods, of one run or of two, paired by problem: the same problems weigh on both sides, so how hard they are cancels out. */
#include <math.h>
#include <string.h>

#include "results/differences.h"
#include "results/estimate.h"
#include "results/statistics.h"
#include "results/store.h"
#include "results/summary.h"

#define RESAMPLES 2000
#define SAME 1e-12         /* accuracies of a problem that differ by rounding only */
#define POWER_QUANTILE 0.8 /* how often the detectable difference would be found */

/* One name on each side, over one task. */
typedef struct {
  const ResultsReadSide *side[2];
  const char *name[2];
  const char *task;
  ResultsCells *cells;
  ResultsFamily family[2]; /* the methods of both sides in the cells */
  guint n_resamples;
  uint64_t seed;
  GArray *pairs, *along, *margins;
} Work;

static const char *keep(ResultsComparison *comparison, const char *text) {
  return g_string_chunk_insert_const(comparison->strings, text);
}

/* A true difference of t(97.5 %) + t(80 %) standard errors is found significant 4 times in 5. */
static double detectable(double se, guint problems) {
  return problems < 2 ? NAN
                      : se * (results_t_quantile(0.975, (int)problems - 1) +
                              results_t_quantile(POWER_QUANTILE, (int)problems - 1));
}

static gboolean holds_zero(double low, double high) {
  return !(low > 0 || high < 0);
}

/* ---- At equal budgets ---------------------------------------------------------------------------------------------------------- */

/* If no problem of n differs, a share of problems that differ above this would have shown in 95 % of such samples. */
static double unseen(int n) {
  return 1 - pow(0.05, 1.0 / n);
}

static void bootstrap_pair(const Work *work, const double *difference, guint n, ResultsPair *pair) {
  g_autofree double *mean = g_new0(double, work->n_resamples + 1);
  for (guint b = 0; b < work->n_resamples; b++) {
    g_autofree char *name = g_strdup_printf("%s/%u", work->task, b);
    uint64_t state = results_random_state(work->seed, name);
    for (guint draw = 0; draw < n; draw++) mean[b] += difference[results_random_below(&state, n)] / n;
  }
  ResultsInterval interval = results_bootstrap_interval(mean, work->n_resamples, n);
  pair->low = interval.low;
  pair->high = interval.high;
}

/* The CR `a` of the first side against the CR `b` of the second at one (L, W). */
static void compare_budget(const Work *work, guint a, guint b, int l, int w) {
  const ResultsCells *cells = work->cells;
  ResultsPair pair = {.task = work->task,
                      .method_a = work->name[0],
                      .method_b = work->name[1],
                      .cr_a = work->family[0].method[a]->cr,
                      .cr_b = work->family[1].method[b]->cr,
                      .length = cells->lengths[l],
                      .threads = cells->threads[w]};
  g_autofree double *difference = g_new(double, cells->n_problems + 1);
  guint n = 0;
  double square = 0;
  for (guint p = 0; p < cells->n_problems; p++) {
    const double *x = cells->value + results_cell(cells, p, work->family[0].slot[a], l, w) * CELL_QUANTITIES;
    const double *y = cells->value + results_cell(cells, p, work->family[1].slot[b], l, w) * CELL_QUANTITIES;
    if (!x[CELL_PRESENT] || !y[CELL_PRESENT]) continue;
    difference[n] = x[CELL_ACCURACY] - y[CELL_ACCURACY];
    pair.better += difference[n] > SAME;
    pair.worse += difference[n] < -SAME;
    pair.accuracy_a += x[CELL_ACCURACY];
    pair.accuracy_b += y[CELL_ACCURACY];
    pair.reads_a += x[CELL_READS];
    pair.reads_b += y[CELL_READS];
    n++;
  }
  if (n == 0) return;
  double *const means[] = {&pair.accuracy_a, &pair.accuracy_b, &pair.reads_a, &pair.reads_b};
  for (guint i = 0; i < G_N_ELEMENTS(means); i++) *means[i] /= n;
  pair.problems = (int)n;
  pair.difference = pair.accuracy_a - pair.accuracy_b;
  for (guint p = 0; p < n; p++) square += pow(difference[p] - pair.difference, 2);
  pair.se = n > 1 ? sqrt(square / (n - 1) / n) : NAN;
  pair.p = results_mcnemar(pair.better, pair.worse);
  if (pair.better + pair.worse > 0) {
    bootstrap_pair(work, difference, n, &pair);
    pair.detectable = detectable(pair.se, n);
  } else {
    pair.high = pair.detectable = unseen(pair.problems);
    pair.low = -pair.high;
  }
  pair.indistinguishable = holds_zero(pair.low, pair.high);
  g_array_append_val(work->pairs, pair);
}

static void compare_budgets(const Work *work) {
  gboolean alike = g_str_equal(work->name[0], work->name[1]);
  for (guint a = 0; a < work->family[0].n; a++)
    for (guint b = 0; b < work->family[1].n; b++) {
      if (alike && work->family[0].method[a]->cr != work->family[1].method[b]->cr) continue;
      for (int l = 0; l < work->cells->n_lengths; l++)
        for (int w = 0; w < work->cells->n_threads; w++) compare_budget(work, a, b, l, w);
    }
}

/* ---- Along the frontiers ------------------------------------------------------------------------------------------------------- */

/* Knots of both frontiers within the budgets that they share, ascending, and the frontiers' heights there. */
static void add_knots(Work *work, const ResultsMeans *means, int cost, GArray *knots) {
  const ResultsParetoPoint *a = means->frontier[cost], *b = means->frontier[COSTS + cost];
  guint n_a = means->n_frontier[cost], n_b = means->n_frontier[COSTS + cost];
  double low, high;
  if (!results_shared_budgets(a, n_a, b, n_b, FALSE, &low, &high)) return;
  for (guint i = 0, j = 0; i < n_a || j < n_b;) {
    double x = j == n_b || (i < n_a && a[i].x <= b[j].x) ? a[i].x : b[j].x;
    while (i < n_a && a[i].x <= x) i++;
    while (j < n_b && b[j].x <= x) j++;
    if (x < low || x > high) continue;
    ResultsAlong along = {.task = work->task,
                          .method_a = work->name[0],
                          .method_b = work->name[1],
                          .cost = results_cost_names[cost],
                          .x = x,
                          .accuracy_a = results_frontier_at(a, n_a, x, FALSE),
                          .accuracy_b = results_frontier_at(b, n_b, x, FALSE)};
    along.difference = along.accuracy_a - along.accuracy_b;
    g_array_append_val(knots, along);
  }
}

static void add_margins(Work *work, const ResultsMeans *means, int cost, GArray *margins) {
  for (int log2_x = 0; log2_x < 2; log2_x++) {
    const ResultsParetoPoint *a = means->frontier[cost], *b = means->frontier[COSTS + cost];
    guint n_a = means->n_frontier[cost], n_b = means->n_frontier[COSTS + cost];
    ResultsMargin margin = {.task = work->task,
                            .cost = results_cost_names[cost],
                            .scale = log2_x ? "log2" : "linear",
                            .method_a = work->name[0],
                            .method_b = work->name[1]};
    results_shared_budgets(a, n_a, b, n_b, log2_x, &margin.x_low, &margin.x_high);
    margin.margin = results_margin(a, n_a, b, n_b, log2_x, margin.x_low, margin.x_high);
    g_array_append_val(margins, margin);
  }
}

static int cost_of(const char *name) {
  int cost = 0;
  while (!g_str_equal(results_cost_names[cost], name)) cost++;
  return cost;
}

/* Column `b` of resampled [knots and margins, n_resamples]. */
static void put_resample(const Work *work, const ResultsMeans *means, const GArray *knots, const GArray *margins,
                         double *at) {
  for (guint i = 0; i < knots->len; i++, at += work->n_resamples) {
    const ResultsAlong *along = &g_array_index(knots, ResultsAlong, i);
    int cost = cost_of(along->cost);
    guint n_a = means->n_frontier[cost], n_b = means->n_frontier[COSTS + cost];
    *at = !n_a || !n_b ? NAN
                       : results_frontier_at(means->frontier[cost], n_a, along->x, FALSE) -
                             results_frontier_at(means->frontier[COSTS + cost], n_b, along->x, FALSE);
  }
  for (guint i = 0; i < margins->len; i++, at += work->n_resamples) {
    const ResultsMargin *margin = &g_array_index(margins, ResultsMargin, i);
    int cost = cost_of(margin->cost);
    *at = results_margin(means->frontier[cost], means->n_frontier[cost], means->frontier[COSTS + cost],
                         means->n_frontier[COSTS + cost], g_str_equal(margin->scale, "log2"), margin->x_low,
                         margin->x_high);
  }
}

static void close_intervals(const Work *work, double *resampled, GArray *knots, GArray *margins) {
  guint n = work->cells->n_problems;
  for (guint i = 0; i < knots->len; i++, resampled += work->n_resamples) {
    ResultsAlong *along = &g_array_index(knots, ResultsAlong, i);
    ResultsInterval interval = results_bootstrap_interval(resampled, work->n_resamples, n);
    along->se = interval.se;
    along->low = MAX(-1, along->difference - interval.reach);
    along->high = MIN(1, along->difference + interval.reach);
    along->detectable = detectable(along->se, n);
    along->indistinguishable = holds_zero(along->low, along->high);
  }
  for (guint i = 0; i < margins->len; i++, resampled += work->n_resamples) {
    ResultsMargin *margin = &g_array_index(margins, ResultsMargin, i);
    ResultsInterval interval = results_bootstrap_interval(resampled, work->n_resamples, n);
    margin->se = interval.se;
    margin->low = MAX(-1, margin->margin - interval.reach);
    margin->high = MIN(1, margin->margin + interval.reach);
  }
}

static void compare_frontiers(Work *work) {
  g_autoptr(ResultsMeans) means = results_means_new(work->cells, work->family, 2);
  g_autoptr(GArray) knots = g_array_new(FALSE, TRUE, sizeof(ResultsAlong)),
                    margins = g_array_new(FALSE, TRUE, sizeof(ResultsMargin));
  g_autofree double *sums = g_new(double, results_sums_size(work->cells) + 1);
  results_cells_sum(work->cells, sums);
  results_means_fill(means, work->cells, work->family, sums);
  for (int cost = 0; cost < COSTS; cost++) {
    add_knots(work, means, cost, knots);
    add_margins(work, means, cost, margins);
  }
  g_autofree double *resampled = g_new(double, (gsize)(knots->len + margins->len) * work->n_resamples + 1);
  for (guint b = 0; b < work->n_resamples; b++) {
    results_cells_resample(work->cells, work->seed, work->task, b, 1, sums);
    results_means_fill(means, work->cells, work->family, sums);
    put_resample(work, means, knots, margins, resampled + b);
  }
  close_intervals(work, resampled, knots, margins);
  g_array_append_vals(work->along, knots->data, knots->len);
  g_array_append_vals(work->margins, margins->data, margins->len);
}

/* ---- One task, one name on each side ------------------------------------------------------------------------------------------- */

/* The problems that both sides have. */
static GPtrArray *shared_problems(const Work *work, GError **error) {
  g_autoptr(GPtrArray) a = results_problem_names(work->side[0]->store, work->side[0]->summary->run, work->task, error);
  g_autoptr(GPtrArray) b =
      a ? results_problem_names(work->side[1]->store, work->side[1]->summary->run, work->task, error) : NULL;
  if (!b) return NULL;
  g_autoptr(GHashTable) in_b = g_hash_table_new(g_str_hash, g_str_equal);
  GPtrArray *shared = g_ptr_array_new_with_free_func(g_free);
  for (guint p = 0; p < b->len; p++) g_hash_table_add(in_b, g_ptr_array_index(b, p));
  for (guint p = 0; p < a->len; p++)
    if (g_hash_table_contains(in_b, g_ptr_array_index(a, p)))
      g_ptr_array_add(shared, g_strdup(g_ptr_array_index(a, p)));
  return shared;
}

static void find_family(Work *work, int side, guint first_slot) {
  const ResultsSummary *summary = work->side[side]->summary;
  ResultsFamily *family = &work->family[side];
  *family = (ResultsFamily){.name = work->name[side],
                            .slot = g_new(guint, summary->n_methods),
                            .method = g_new(const ResultsMethodInfo *, summary->n_methods)};
  for (guint m = 0; m < summary->n_methods; m++)
    if (g_str_equal(summary->method[m].name, work->name[side])) {
      family->slot[family->n] = first_slot + family->n;
      family->method[family->n++] = &summary->method[m];
    }
}

static gboolean read_side(Work *work, int side, const ResultsGrid *grid, GError **error) {
  const ResultsReadSide *read = work->side[side];
  const ResultsTaskInfo *task = results_find_task(read->summary, work->task);
  for (guint m = 0; m < work->family[side].n; m++)
    if (!results_cells_read(work->cells, read->store, read->summary->run, task, work->family[side].method[m],
                            work->family[side].slot[m], grid, error))
      return FALSE;
  return TRUE;
}

static gboolean compare_task(Work *work, const ResultsGrid *grid, GError **error) {
  find_family(work, 0, 0);
  find_family(work, 1, work->family[0].n);
  GPtrArray *problems = shared_problems(work, error);
  work->cells = problems ? results_cells_new(problems, grid, work->family[0].n + work->family[1].n, error) : NULL;
  gboolean ok = work->cells && read_side(work, 0, grid, error) && read_side(work, 1, grid, error);
  if (ok && work->cells->n_problems > 0) {
    compare_budgets(work);
    compare_frontiers(work);
  }
  results_cells_free(work->cells);
  for (int side = 0; side < 2; side++) {
    g_free(work->family[side].slot);
    g_free(work->family[side].method);
  }
  return ok;
}

/* ---- Two sides ----------------------------------------------------------------------------------------------------------------- */

static gboolean has_method(const ResultsSummary *summary, const char *name) {
  for (guint m = 0; m < summary->n_methods; m++)
    if (g_str_equal(summary->method[m].name, name)) return TRUE;
  return FALSE;
}

static gboolean check_method(const ResultsReadSide *side, const char *name, GError **error) {
  if (has_method(side->summary, name)) return TRUE;
  g_autoptr(GString) known = g_string_new(NULL);
  for (guint m = 0; m < side->summary->n_methods; m++)
    if (!strstr(known->str, side->summary->method[m].name))
      g_string_append_printf(known, "%s%s", known->len ? ", " : "", side->summary->method[m].name);
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING, "run %s has no method '%s'; it has: %s",
              side->summary->info.name, name, known->str);
  return FALSE;
}

/* The names to compare, in pairs: those given, or every one that both runs have. NULL when there are none. */
static GPtrArray *pair_names(const ResultsReadSide side[2], const char *a, const char *b, GError **error) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  if (a || b) {
    g_ptr_array_add(names, (gpointer)(a ? a : b));
    g_ptr_array_add(names, (gpointer)(b ? b : a));
    return check_method(&side[0], names->pdata[0], error) && check_method(&side[1], names->pdata[1], error)
               ? g_steal_pointer(&names)
               : NULL;
  }
  for (guint m = 0; m < side[0].summary->n_methods; m++) {
    const char *name = side[0].summary->method[m].name;
    gboolean known = !has_method(side[1].summary, name);
    for (guint i = 0; i < names->len; i++) known |= g_str_equal(g_ptr_array_index(names, i), name);
    for (int i = 0; !known && i < 2; i++) g_ptr_array_add(names, (gpointer)name);
  }
  if (names->len > 0) return g_steal_pointer(&names);
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING,
              "runs %s and %s have no method of one name; name one of each", side[0].summary->info.name,
              side[1].summary->info.name);
  return NULL;
}

/* Everything in which what is compared differs, over all tasks and pairs of names; FALSE when that blocks. */
static gboolean find_differences(const ResultsReadSide side[2], const GPtrArray *names, ResultsComparison *comparison,
                                 GError **error) {
  GArray *list = g_array_new(FALSE, FALSE, sizeof(ResultsDifference));
  const ResultsSummary *a = side[0].summary, *b = side[1].summary;
  gboolean ok = TRUE;
  results_run_differences(&side[0], &side[1], comparison->strings, list);
  for (guint t = 0; ok && t < a->n_tasks; t++)
    if (results_find_task(b, a->task[t].name))
      ok = results_task_differences(&side[0], &side[1], a->task[t].name, comparison->strings, list, error);
  for (guint i = 0; i < names->len; i += 2)
    for (guint m = 0; m < a->n_methods; m++)
      for (guint n = 0; n < b->n_methods; n++) {
        const ResultsMethodInfo *p = &a->method[m], *q = &b->method[n];
        gboolean alike = g_str_equal(names->pdata[i], names->pdata[i + 1]);
        if (g_str_equal(p->name, names->pdata[i]) && g_str_equal(q->name, names->pdata[i + 1]) &&
            (!alike || p->cr == q->cr))
          results_method_differences(p, q, comparison->strings, list);
      }
  comparison->n_differences = list->len;
  comparison->difference = (ResultsDifference *)g_array_free(list, FALSE);
  return ok;
}

static gboolean check_blocks(const ResultsComparison *comparison, GError **error) {
  g_autoptr(GString) list = g_string_new(NULL);
  for (guint i = 0; i < comparison->n_differences; i++) {
    const ResultsDifference *found = &comparison->difference[i];
    if (!found->blocks) continue;
    g_string_append_printf(list, "%s%s %s: %s", list->len ? "; " : "", found->task, found->what, found->a);
    if (!g_str_equal(found->a, found->b)) g_string_append_printf(list, " against %s", found->b);
  }
  if (list->len == 0) return TRUE;
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_CONFLICT, "runs %s and %s did not measure the same: %s",
              comparison->run_a, comparison->run_b, list->str);
  return FALSE;
}

/* Budgets of the first side's points; without any, the largest of its tasks. */
static gboolean fill_grid(const ResultsReadSide *side, ResultsGrid *grid, GArray *lengths, GArray *threads,
                          GError **error) {
  gboolean ok;
  g_autoptr(sqlite3_stmt) rows =
      results_db_prepare(side->store, error,
                         "SELECT length, threads FROM task JOIN point ON point.task = task.id WHERE task.run = ?1 "
                         "UNION SELECT max_length, max_threads FROM task WHERE run = ?1",
                         "i", side->summary->run);
  if (!rows) return FALSE;
  while (results_db_next(side->store, rows, &ok, error)) {
    int length = sqlite3_column_int(rows, 0), width = sqlite3_column_int(rows, 1);
    g_array_append_val(lengths, length);
    g_array_append_val(threads, width);
  }
  if (!grid->lengths) grid->lengths = (const int *)lengths->data, grid->n_lengths = (int)lengths->len;
  if (!grid->threads) grid->threads = (const int *)threads->data, grid->n_threads = (int)threads->len;
  return ok;
}

static gboolean compare_sides(const ResultsReadSide side[2], const GPtrArray *names, const ResultsGrid *grid,
                              ResultsComparison *comparison, GError **error) {
  g_autoptr(GArray) lengths = g_array_new(FALSE, FALSE, sizeof(int)), threads = g_array_new(FALSE, FALSE, sizeof(int));
  ResultsGrid filled = *grid;
  if ((!grid->lengths || !grid->threads) && !fill_grid(&side[0], &filled, lengths, threads, error)) return FALSE;
  Work work = {.side = {&side[0], &side[1]},
               .n_resamples = grid->bootstrap > 0 ? (guint)grid->bootstrap : RESAMPLES,
               .seed = grid->seed,
               .pairs = g_array_new(FALSE, FALSE, sizeof(ResultsPair)),
               .along = g_array_new(FALSE, FALSE, sizeof(ResultsAlong)),
               .margins = g_array_new(FALSE, FALSE, sizeof(ResultsMargin))};
  gboolean ok = TRUE, shared = FALSE;
  for (guint t = 0; ok && t < side[0].summary->n_tasks; t++) {
    work.task = keep(comparison, side[0].summary->task[t].name);
    if (!results_find_task(side[1].summary, work.task)) continue;
    shared = TRUE;
    for (guint i = 0; ok && i < names->len; i += 2) {
      work.name[0] = keep(comparison, names->pdata[i]);
      work.name[1] = keep(comparison, names->pdata[i + 1]);
      ok = compare_task(&work, &filled, error);
    }
  }
  comparison->n_pairs = work.pairs->len;
  comparison->n_along = work.along->len;
  comparison->n_margins = work.margins->len;
  comparison->pair = (ResultsPair *)g_array_free(work.pairs, FALSE);
  comparison->along = (ResultsAlong *)g_array_free(work.along, FALSE);
  comparison->margin = (ResultsMargin *)g_array_free(work.margins, FALSE);
  if (ok && !shared) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING, "runs %s and %s have no task in common", comparison->run_a,
                comparison->run_b);
    return FALSE;
  }
  return ok;
}

static gboolean compare(const ResultsReadSide side[2], const ResultsSide *a, const ResultsSide *b,
                        const ResultsGrid *grid, gboolean mixed, ResultsComparison *comparison, GError **error) {
  comparison->run_a = keep(comparison, side[0].summary->info.name);
  comparison->run_b = keep(comparison, side[1].summary->info.name);
  if (a->store == b->store && side[0].summary->run == side[1].summary->run && g_strcmp0(a->method, b->method) == 0) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING,
                "run %s would be compared with itself; name two methods or two runs", comparison->run_a);
    return FALSE;
  }
  g_autoptr(GPtrArray) names = pair_names(side, a->method, b->method, error);
  return names && find_differences(side, names, comparison, error) && (mixed || check_blocks(comparison, error)) &&
         compare_sides(side, names, grid, comparison, error);
}

ResultsComparison *results_compare(const ResultsSide *a, const ResultsSide *b, const ResultsGrid *grid, gboolean mixed,
                                   GError **error) {
  gboolean began_a, began_b;
  if (!results_db_snapshot(a->store, &began_a, error)) return NULL;
  if (!results_db_snapshot(b->store, &began_b, error)) {
    results_db_snapshot_end(a->store, began_a);
    return NULL;
  }
  ResultsComparison *comparison = g_new0(ResultsComparison, 1);
  comparison->strings = g_string_chunk_new(4096);
  ResultsReadSide side[2] = {{.store = a->store}, {.store = b->store}};
  side[0].summary = results_summary_begin(a->store, a->run, error);
  side[1].summary = side[0].summary ? results_summary_begin(b->store, b->run, error) : NULL;
  if (!side[1].summary || !compare(side, a, b, grid, mixed, comparison, error))
    g_clear_pointer(&comparison, results_comparison_free);
  results_summary_free(side[0].summary);
  results_summary_free(side[1].summary);
  results_db_snapshot_end(b->store, began_b);
  results_db_snapshot_end(a->store, began_a);
  return comparison;
}

void results_comparison_free(ResultsComparison *comparison) {
  if (!comparison) return;
  g_free(comparison->difference);
  g_free(comparison->pair);
  g_free(comparison->along);
  g_free(comparison->margin);
  g_string_chunk_free(comparison->strings);
  g_free(comparison);
}
