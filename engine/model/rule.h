/* How a checkpoint states its DMS rule. Internal to engine/model. */
#ifndef DMS_RULE_H
#define DMS_RULE_H

#include "engine/json.h"
#include "engine/model/model.h"

/* Finds the rule of the checkpoint in `dir` whose config.json is `config`; source DMS_SOURCE_NONE when it states
 * none. `*file` is the path of the side file that it came from, NULL for config.json; free with g_free(). In this
 * order:
 *
 *   dms_rule.json            any model type: {"window", "scale", "offset", "source", "shift", "rezero"}, exactly
 *   dms_metadata.json        llama: FastDMS, the keys at its top or under "config"
 *   ../training_log.json     llama: FastDMS, under "config", where that has a window
 *   dms_* of config.json     qwen3: NVIDIA, borrowed neuron or, with dms_separate_alpha, adapter; llama: FastDMS;
 *                            qwen2: refused, as no public kind is known
 *
 * NVIDIA decides at the next token and zeroes the borrowed dim after RoPE too; FastDMS decides at the token itself
 * and does not. The window must be stated; scale and offset are 100 and 5 where they are not, as in both
 * implementations. */
gboolean dms_rule_read(const char *dir, const DmsJson *config, DmsModelType type, DmsRule *rule, char **file,
                       GError **error);

#endif
