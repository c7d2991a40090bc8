/* What a cache policy does to a model. Internal to engine/. */
#ifndef DMS_POLICY_H
#define DMS_POLICY_H

#include "engine/backend.h"

/* Sets rule and window_sinks of `options` for `policy` on options->model. DMS_ERROR_REQUEST when a value is out of
 * range, DMS_ERROR_MODEL when the policy is DMS and the model has no DMS. */
gboolean dms_policy_apply(const DmsPolicy *policy, DmsBackendOptions *options, GError **error);

/* The fewest items that a list holds after `tokens` tokens: exact where nothing depends on a decision. */
gint64 dms_policy_least_items(const DmsBackendOptions *options, gint64 tokens);

#endif
