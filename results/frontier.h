/* Pareto frontiers and the margin between two of them (the paper's Appendix G). Pure arithmetic. */
#ifndef HYPERSCALE_RESULTS_FRONTIER_H
#define HYPERSCALE_RESULTS_FRONTIER_H

#include <glib.h>

typedef struct {
  double x, accuracy;
  guint origin; /* the caller's number of the point */
} ResultsParetoPoint;

/* Reduces points[0..n), of finite x and accuracy, to those that no other one dominates: better accuracy than every
 * point that costs as much or less. Returns how many stay at the front of the array, ascending in x. With
 * `more_is_better` x is a rate: the frontier falls. */
guint results_pareto(ResultsParetoPoint *points, guint n, gboolean more_is_better);

/* The frontier's height at x: linear between its points in x, or in log2 x; level before the first and after the last.
 * n >= 1. */
double results_frontier_at(const ResultsParetoPoint *frontier, guint n, double x, gboolean log2_x);

/* The budgets that both frontiers cover. FALSE, and NAN, when they share no interval of positive length (on log2, above
 * 0). */
gboolean results_shared_budgets(const ResultsParetoPoint *a, guint n_a, const ResultsParetoPoint *b, guint n_b,
                                gboolean log2_x, double *low, double *high);

/* Mean of A(x) - B(x) over low <= x <= high, the frontiers as in results_frontier_at(), on x or on log2 x: the integral
 * is exact. NAN when there is no such interval or a frontier is empty. */
double results_margin(const ResultsParetoPoint *a, guint n_a, const ResultsParetoPoint *b, guint n_b, gboolean log2_x,
                      double low, double high);

#endif
