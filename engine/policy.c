/* Vanilla, DMS and the fixed window, in the terms that backends understand. */
#include "engine/policy.h"

gboolean dms_policy_apply(const DmsPolicy *policy, DmsBackendOptions *options, GError **error) {
  const DmsConfig *config = &options->model->config;
  options->rule = (DmsRule){.source = DMS_SOURCE_NONE};
  options->window_sinks = -1;
  switch (policy->kind) {
  case DMS_POLICY_VANILLA:
    return TRUE;
  case DMS_POLICY_DMS:
    if (config->dms.source == DMS_SOURCE_NONE) {
      g_set_error(error, DMS_ERROR, DMS_ERROR_MODEL,
                  "%s states no DMS rule (dms_* in config.json, dms_rule.json or dms_metadata.json): it runs as "
                  "vanilla or with a window",
                  options->model->dir);
      return FALSE;
    }
    options->rule = config->dms;
    return TRUE;
  case DMS_POLICY_WINDOW:
    if (policy->window < 0 || policy->window >= config->context || policy->sinks < 0 ||
        policy->sinks > config->context) {
      g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST,
                  "a window of %d tokens with %d sinks: the window must be 0 to %d, the sinks 0 to %d", policy->window,
                  policy->sinks, config->context - 1, config->context);
      return FALSE;
    }
    options->rule.window = policy->window;
    options->window_sinks = policy->sinks;
    return TRUE;
  }
  g_set_error(error, DMS_ERROR, DMS_ERROR_REQUEST, "policy %d is unknown", (int)policy->kind);
  return FALSE;
}

gint64 dms_policy_least_items(const DmsBackendOptions *options, gint64 tokens) {
  if (options->window_sinks >= 0) return MIN(tokens, (gint64)options->window_sinks + options->rule.window + 1);
  if (options->rule.source == DMS_SOURCE_NONE) return tokens;
  return MIN(tokens, (gint64)options->rule.window + 1);
}
