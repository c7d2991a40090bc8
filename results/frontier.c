#include "results/frontier.h"

#include <math.h>
#include <stdlib.h>

#include "results/results.h"

/* By cost; of equals, the more accurate first, and then the one that the caller named first. */
static int compare(const void *a, const void *b, gboolean more_is_better) {
  const ResultsParetoPoint *p = a, *q = b;
  if (p->x != q->x) return (p->x > q->x) == !more_is_better ? 1 : -1;
  if (p->accuracy != q->accuracy) return p->accuracy < q->accuracy ? 1 : -1;
  return (p->origin > q->origin) - (p->origin < q->origin);
}
static int compare_costs(const void *a, const void *b) {
  return compare(a, b, FALSE);
}
static int compare_rates(const void *a, const void *b) {
  return compare(a, b, TRUE);
}

/* Means of the same number differ in their last bits by the order in which they were summed: that is no better accuracy
 * and no lower cost. */
#define ROUNDING 1e-12

guint results_pareto(ResultsParetoPoint *points, guint n, gboolean more_is_better) {
  guint kept = 0;
  qsort(points, n, sizeof *points, more_is_better ? compare_rates : compare_costs);
  for (guint i = 0; i < n; i++) {
    if (kept > 0 && points[i].accuracy <= points[kept - 1].accuracy + ROUNDING) continue;
    if (kept > 0 && fabs(points[i].x - points[kept - 1].x) <= ROUNDING * fabs(points[i].x)) kept--;
    points[kept++] = points[i];
  }
  for (guint i = 0, j = kept; more_is_better && i + 1 < j; i++) {
    ResultsParetoPoint swap = points[i];
    points[i] = points[--j];
    points[j] = swap;
  }
  return kept;
}

static double scaled(double x, gboolean log2_x) {
  return log2_x ? log2(x) : x;
}

double results_frontier_at(const ResultsParetoPoint *frontier, guint n, double x, gboolean log2_x) {
  if (x <= frontier[0].x) return frontier[0].accuracy;
  for (guint i = 1; i < n; i++)
    if (x <= frontier[i].x) {
      const ResultsParetoPoint *p = &frontier[i - 1], *q = &frontier[i];
      double from = scaled(p->x, log2_x), to = scaled(q->x, log2_x);
      return p->accuracy + (q->accuracy - p->accuracy) * (scaled(x, log2_x) - from) / (to - from);
    }
  return frontier[n - 1].accuracy;
}

gboolean results_shared_budgets(const ResultsParetoPoint *a, guint n_a, const ResultsParetoPoint *b, guint n_b,
                                gboolean log2_x, double *low, double *high) {
  *low = n_a && n_b ? MAX(a[0].x, b[0].x) : NAN;
  *high = n_a && n_b ? MIN(a[n_a - 1].x, b[n_b - 1].x) : NAN;
  gboolean shared = *high > *low && (!log2_x || *low > 0);
  if (!shared) *low = *high = NAN;
  return shared;
}

double results_margin(const ResultsParetoPoint *a, guint n_a, const ResultsParetoPoint *b, guint n_b, gboolean log2_x,
                      double low, double high) {
  if (!n_a || !n_b || !(high > low)) return NAN;
  double area = 0, x = low,
         difference = results_frontier_at(a, n_a, x, log2_x) - results_frontier_at(b, n_b, x, log2_x);
  guint i = 0, j = 0;
  while (x < high) { /* from each knot of either frontier to the next: between them the difference is a straight line */
    while (i < n_a && a[i].x <= x) i++;
    while (j < n_b && b[j].x <= x) j++;
    double next = MIN(high, MIN(i < n_a ? a[i].x : high, j < n_b ? b[j].x : high));
    double then = results_frontier_at(a, n_a, next, log2_x) - results_frontier_at(b, n_b, next, log2_x);
    area += (difference + then) / 2 * (scaled(next, log2_x) - scaled(x, log2_x));
    x = next;
    difference = then;
  }
  return area / (scaled(high, log2_x) - scaled(low, log2_x));
}

double results_mean_margin(const double *margin, guint n) {
  double sum = 0;
  for (guint i = 0; i < n; i++) sum += margin[i];
  return sum / n;
}
