/* The numbers that the paper published, and ours beside them.
 *
 * Source: Lancucki, Staniszewski, Nawrot, Ponti: Inference-Time Hyper-Scaling with KV Cache Compression, NeurIPS
 * 2025 (arXiv 2506.05345). Accuracies of single configurations exist for W = 1 at the longest context alone (tables
 * 10 to 12, and table 2 for Qwen3-8B); of all others the paper has only marks in figures 3 and 7. Margins: table 8
 * (reads), 9 (peak), 7 (throughput). */
#ifndef HYPERSCALE_REPORTS_PAPER_H
#define HYPERSCALE_REPORTS_PAPER_H

#include "reports/report.h"
#include "reports/table.h"

G_BEGIN_DECLS

/* Sizes of the paper's Qwen-R1 models. */
typedef enum { PAPER_1_5B, PAPER_7B, PAPER_32B, PAPER_SIZES } PaperSize;

/* In points; NAN where the paper has "NA" (the frontiers share no budget) or nothing. Tasks by our names;
 * LiveCodeBench with or without its release. */
double report_paper_margin(const char *cost, const char *method_a, const char *method_b, const char *task,
                           PaperSize size);
/* In percent, at W = 1; NAN where the paper has nothing. */
double report_paper_accuracy(const char *task, const char *method, double cr, PaperSize size);

/* Published accuracies beside ours, with the noise that the number of problems allows; of the models that the run
 * has, or of all where it has none of the paper's. */
Table *report_paper_accuracies(const ResultsSummary *summary);
Table *report_paper_margins(const ResultsSummary *summary);
/* Whether the run has a model of the paper's. */
gboolean report_paper_matches(const ResultsSummary *summary);
/* What the paper does not state and what is assumed here: NULL-terminated. */
extern const char *const report_paper_unstated[];

G_END_DECLS

#endif
