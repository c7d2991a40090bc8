/* Results in the schema of Every Eval Ever 0.2.2, an interchange format of evaluation results: one aggregate object
 * a method, in which each (task, L, W) is one evaluation result. Values under additional_details and details are
 * strings, as the schema wants. */
#include <math.h>
#include <string.h>

#include "reports/data.h"
#include "reports/figure.h"
#include "reports/text.h"

static json_t *number_text(double value) {
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  return json_string(g_ascii_formatd(number, sizeof number, "%.9g", value));
}

static json_t *metric_config(const ResultsTaskInfo *task, const ResultsPoint *p) {
  gboolean pass = strcmp(task->aggregate, "pass") == 0;
  return json_pack(
      "{s:s, s:s, s:s, s:s, s:s, s:{s:i}, s:b, s:s, s:f, s:f}", "evaluation_description",
      pass ? "share of problems that any of k threads solves, mean over subsets of the threads run"
           : "share of problems that a majority vote of k threads solves, mean over subsets of the threads run",
      "metric_id", pass ? "pass_at_k" : "maj_at_k", "metric_name", pass ? "pass@k" : "maj@k", "metric_kind", "accuracy",
      "metric_unit", "proportion", "metric_parameters", "k", p->threads, "lower_is_better", 0, "score_type",
      "continuous", "min_score", 0.0, "max_score", 1.0);
}

static json_t *score_details(const ResultsPoint *p) {
  json_t *uncertainty = json_pack("{s:i}", "num_samples", p->problems);
  if (isfinite(p->accuracy_se))
    json_object_set_new(uncertainty, "standard_error",
                        json_pack("{s:f, s:s}", "value", p->accuracy_se, "method", "over problems"));
  if (isfinite(p->low) && isfinite(p->high))
    json_object_set_new(uncertainty, "confidence_interval",
                        json_pack("{s:f, s:f, s:f, s:s}", "lower", p->low, "upper", p->high, "confidence_level", 0.95,
                                  "method", "bootstrap clustered by problem"));
  return json_pack("{s:f, s:o, s:{s:o, s:o, s:o, s:o, s:o, s:s}}", "score", p->accuracy, "uncertainty", uncertainty,
                   "details", "kv_reads", number_text(p->reads), "kv_peak", number_text(p->peak), "generated_tokens",
                   number_text(p->tokens), "realised_cr", number_text(p->realised_cr), "truncated_share",
                   number_text(p->truncated), "derived", p->derived ? "true" : "false");
}

static json_t *evaluation_result(const ResultsTaskInfo *task, const ResultsMethodInfo *method, const ResultsPoint *p) {
  json_t *result = json_pack("{s:o, s:{s:o, s:s, s:o}, s:o, s:o}", "evaluation_name", report_text_json(task->name, -1),
                             "source_data", "dataset_name", report_text_json(task->name, -1), "source_type", "other",
                             "source_id", report_text_json(task->source, -1), "metric_config", metric_config(task, p),
                             "score_details", score_details(p));
  json_object_set_new(result, "evaluation_result_id", json_sprintf("W%d-L%d", p->threads, p->length));
  json_object_set_new(result, "generation_config",
                      json_pack("{s:{s:o, s:o, s:i, s:i, s:b}}", "generation_args", "temperature",
                                report_text_json_float(method->temperature), "top_p",
                                report_text_json_float(method->top_p), "top_k", method->top_k, "max_tokens",
                                MAX(p->length, 1), "reasoning", 1));
  return result;
}

static json_t *aggregate(const ResultsSummary *summary, const ResultsMethodInfo *method) {
  const ResultsRunInfo *info = &summary->info;
  json_t *results = json_array();
  for (guint t = 0; t < summary->n_tasks; t++)
    for (guint i = 0; i < summary->n_points; i++) {
      const ResultsPoint *p = &summary->point[i];
      if (isfinite(p->accuracy) && report_figure_is_of(p, method, summary->task[t].name))
        json_array_append_new(results, evaluation_result(&summary->task[t], method, p));
    }
  g_autofree char *id = g_strdup_printf("%s/%s/%s", info->name, method->model, info->created ? info->created : "");
  json_t *details = json_pack("{s:s, s:s, s:o, s:o, s:o}", "deployment_type", "self_deployed", "model_availability",
                              "open_weights", "fingerprint_sha256", report_text_json(method->fingerprint, -1),
                              "kv_policy", report_text_json(method->policy, -1), "nominal_cr", number_text(method->cr));
  json_t *root = json_pack("{s:s, s:o, s:o, s:o}", "schema_version", "0.2.2", "evaluation_id", report_text_json(id, -1),
                           "evaluation_timestamp", report_text_json(info->created, -1), "retrieved_timestamp",
                           json_sprintf("%" G_GINT64_FORMAT, report_data_epoch(info->created)));
  json_object_set_new(root, "source_metadata",
                      json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:o}}", "source_name", "hyperscale", "source_type",
                                "evaluation_run", "source_organization_name", "unspecified", "evaluator_relationship",
                                "third_party", "additional_details", "partial_run", info->partial ? "true" : "false",
                                "machine", report_text_json(info->machine, -1)));
  json_object_set_new(root, "eval_library",
                      json_pack("{s:s, s:o}", "name", "hyperscale", "version", report_text_json(info->version, -1)));
  json_object_set_new(root, "model_info",
                      json_pack("{s:o, s:o, s:{s:s, s:o}, s:o}", "name", report_text_json(method->model, -1), "id",
                                report_text_json(method->model, -1), "inference_engine", "name", "hyperscale",
                                "version", report_text_json(info->version, -1), "additional_details", details));
  json_object_set_new(root, "evaluation_results", results);
  return root;
}

gboolean report_data_every_eval_ever(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                                     GString *out, GError **error) {
  for (guint m = 0; m < summary->n_methods; m++) {
    report_text_append_json(out, aggregate(summary, &summary->method[m]), 9, TRUE);
    g_string_append_c(out, '\n');
  }
  return TRUE;
}
