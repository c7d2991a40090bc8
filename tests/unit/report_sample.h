/* A hand-made summary for the tests of reports: two methods (vanilla, and dms at CR 2, 4 and 8), two tasks, a grid
 * of L x W, smooth curves instead of measurements, frontiers by plain dominance. */
#ifndef HYPERSCALE_TESTS_REPORT_SAMPLE_H
#define HYPERSCALE_TESTS_REPORT_SAMPLE_H

#include <math.h>
#include <string.h>

#include "reports/figure.h"

static const int sample_lengths[] = {64, 128, 192, 256, 384, 512, 800};
static const int sample_threads[] = {1, 2, 4, 8};

static ResultsPoint sample_point(const ResultsSummary *summary, guint task, guint method, int length, int threads) {
  const ResultsMethodInfo *m = &summary->method[method];
  double per_token = length / 2.0 / m->cr + 16 * (1 - 1 / m->cr), edge = m->cr > 4 ? 0.8 : 1;
  double one = edge / (1 + exp(-(length - 220.0 - 60 * task) / 60)), rest = 1 - one;
  double accuracy = MIN(one + rest * one * (1 - 1 / sqrt(threads)) * 0.8, 0.995),
         se = sqrt(accuracy * (1 - accuracy) / 30);
  return (ResultsPoint){
      .method_id = m->id,
      .method = m->name,
      .model = m->model,
      .policy = m->policy,
      .task = summary->task[task].name,
      .cr = m->cr,
      .length = length,
      .threads = threads,
      .accuracy = accuracy,
      .accuracy_se = se,
      .accuracy_se_threads = se / 3,
      .low = MAX(accuracy - 1.96 * se, 0),
      .high = MIN(accuracy + 1.96 * se, 1),
      .reads = threads * (double)length * per_token,
      .peak = threads * (length / m->cr + 16),
      .tokens = threads * length * 0.8,
      .seconds = length / 300.0,
      .throughput = 60 / (threads * length / 3000.0),
      .bytes = threads * (double)length * per_token * 8 * 256,
      .realised_cr = m->cr * 0.93,
      .problems = 30,
      .correct = one,
      .wrong = rest * 0.3,
      .no_answer = rest * 0.1,
      .truncated = rest * 0.6,
      .derived = length != summary->task[task].max_length || threads != 8,
  };
}

static gboolean sample_dominated(const ResultsSummary *summary, const ResultsPoint *p, const char *cost) {
  for (guint i = 0; i < summary->n_points; i++) {
    const ResultsPoint *q = &summary->point[i];
    if (q == p || strcmp(q->method, p->method) != 0 || strcmp(q->task, p->task) != 0) continue;
    double x = report_figure_cost_of(p, cost), y = report_figure_cost_of(q, cost);
    if (strcmp(cost, "throughput") == 0) x = -x, y = -y;
    if (y <= x && q->accuracy >= p->accuracy && (y < x || q->accuracy > p->accuracy)) return TRUE;
  }
  return FALSE;
}

static void sample_frontier(ResultsSummary *summary) {
  g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(ResultsFrontierPoint));
  for (guint c = 0; c < FIGURE_COSTS; c++)
    for (guint i = 0; i < summary->n_points; i++) {
      const ResultsPoint *p = &summary->point[i];
      if (sample_dominated(summary, p, report_figure_costs[c].name)) continue;
      ResultsFrontierPoint f = {.method = p->method,
                                .task = p->task,
                                .cost = report_figure_costs[c].name,
                                .x = report_figure_cost_of(p, report_figure_costs[c].name),
                                .accuracy = p->accuracy,
                                .cr = p->cr,
                                .low = p->low,
                                .high = p->high,
                                .length = p->length,
                                .threads = p->threads};
      g_array_append_val(all, f);
    }
  summary->n_frontier = all->len;
  summary->frontier = (ResultsFrontierPoint *)(gpointer)g_array_free(g_steal_pointer(&all), FALSE);
}

/* The first so many of the four methods, two tasks and seven lengths. Free with sample_free. */
static ResultsSummary *sample_new(guint methods, guint n_tasks, guint lengths) {
  static const double ratios[] = {1, 2, 4, 8};
  static const char *const models[] = {"pocket-reasoner", "pocket-reasoner-dms-2x", "pocket-reasoner-dms-4x",
                                       "pocket-reasoner-dms-8x"};
  static const char *const tasks[] = {"aime24", "gpqa_diamond"};
  ResultsSummary *s = g_new0(ResultsSummary, 1);
  s->run = 1;
  s->info = (ResultsRunInfo){
      "pocket", "name: pocket\nseed: 1\n", "1.0", "{\"cpu\": \"test\"}", "2026-01-02T03:04:05Z", 1, FALSE, TRUE, "cpu"};
  s->n_tasks = n_tasks;
  s->task = g_new0(ResultsTaskInfo, n_tasks);
  for (guint t = 0; t < n_tasks; t++)
    s->task[t] = (ResultsTaskInfo){tasks[t], "maj", "plain", "pocket", "aime 1", 30, 8, sample_lengths[lengths - 1],
                                   960,      960,   960};
  s->n_methods = methods;
  s->method = g_new0(ResultsMethodInfo, methods);
  for (guint m = 0; m < methods; m++)
    s->method[m] = (ResultsMethodInfo){m + 1,
                                       m ? "dms" : "vanilla",
                                       models[m],
                                       "0123456789abcdef",
                                       m ? "dms" : "vanilla",
                                       ratios[m],
                                       0.6f,
                                       0.95f,
                                       0,
                                       4,
                                       2,
                                       256};
  s->point = g_new0(ResultsPoint, n_tasks * methods * 28);
  for (guint t = 0; t < n_tasks; t++)
    for (guint m = 0; m < methods; m++)
      for (guint l = 0; l < lengths; l++)
        for (guint w = 0; w < G_N_ELEMENTS(sample_threads); w++)
          s->point[s->n_points++] = sample_point(s, t, m, sample_lengths[l], sample_threads[w]);
  sample_frontier(s);
  if (methods > 1) {
    s->margin = g_new0(ResultsMargin, 16);
    for (guint t = 0; t < n_tasks; t++)
      for (guint c = 0; c < 2; c++)
        for (guint k = 0; k < 4; k++)
          s->margin[s->n_margins++] = (ResultsMargin){.task = tasks[t],
                                                      .cost = c ? "peak" : "reads",
                                                      .scale = k & 1 ? "log2" : "linear",
                                                      .method_a = k & 2 ? "vanilla" : "dms",
                                                      .method_b = k & 2 ? "dms" : "vanilla",
                                                      .margin = t && c  ? NAN
                                                                : k & 2 ? -0.123
                                                                        : 0.123,
                                                      .se = 0.03,
                                                      .low = k & 2 ? -0.184
                                                             : t   ? -0.01
                                                                   : 0.064,
                                                      .high = k & 2 ? -0.064 : 0.184,
                                                      .x_low = 2000,
                                                      .x_high = 64000};
  }
  return s;
}

static void sample_free(ResultsSummary *summary) {
  g_free(summary->task);
  g_free(summary->method);
  g_free(summary->point);
  g_free(summary->frontier);
  g_free(summary->margin);
  g_free(summary);
}

#endif
