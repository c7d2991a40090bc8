/* The DMS rule of a checkpoint: which of the public kinds it is and the numbers of its rule. */
#include "engine/model/rule.h"

#include "engine/model/limits.h"

/* The first of `keys` (NULL-terminated) that `json` has, or keys[0] for the message that it is missing. */
static const char *first_key(const DmsJson *json, const char *const *keys) {
  for (int i = 0; keys[i]; i++)
    if (dms_json_has(json, keys[i])) return keys[i];
  return keys[0];
}

static gboolean read_numbers(const DmsJson *json, const char *const *window, const char *const *scale,
                             const char *const *offset, const char *const *cr, DmsRule *rule, GError **error) {
  double scale_value = 100, offset_value = 5;
  if (!dms_json_integer(json, first_key(json, window), TRUE, 0, DMS_MAX_POSITIONS, &rule->window, error) ||
      !dms_json_number(json, first_key(json, scale), FALSE, -1e6, 1e6, &scale_value, error) ||
      !dms_json_number(json, first_key(json, offset), FALSE, -1e6, 1e6, &offset_value, error) ||
      !dms_json_integer(json, first_key(json, cr), FALSE, 1, DMS_MAX_POSITIONS, &rule->cr, error))
    return FALSE;
  rule->scale = (float)scale_value;
  rule->offset = (float)offset_value;
  return TRUE;
}

/* dms_alpha_per, which both the side file and NVIDIA's own keys leave to config.json. */
static gboolean read_alpha_per(const DmsJson *config, DmsRule *rule, GError **error) {
  const char *per = "head";
  if (!dms_json_string(config, "dms_alpha_per", FALSE, &per, error)) return FALSE;
  rule->per_layer = g_str_equal(per, "layer");
  if (rule->per_layer || g_str_equal(per, "head")) return TRUE;
  return dms_json_refuse(config, "dms_alpha_per", error, "it must be \"head\" or \"layer\"");
}

static gboolean read_nvidia(const DmsJson *config, DmsRule *rule, GError **error) {
  gboolean adapter = FALSE, disabled = FALSE;
  if (!dms_json_boolean(config, "dms_separate_alpha", FALSE, &adapter, error) ||
      !dms_json_boolean(config, "dms_disable_eviction", FALSE, &disabled, error))
    return FALSE;
  if (disabled)
    return dms_json_refuse(config, "dms_disable_eviction", error,
                           "a checkpoint is run with its evictions: choose the policy \"vanilla\" instead");
  rule->source = adapter ? DMS_SOURCE_ADAPTER : DMS_SOURCE_BORROWED_Q;
  rule->shift = 1;
  rule->rezero = !adapter;
  return read_numbers(config, (const char *const[]){"dms_window_size", NULL},
                      (const char *const[]){"dms_alpha_scale", NULL},
                      (const char *const[]){"dms_initial_alpha_offset", NULL}, (const char *const[]){"dms_cr", NULL},
                      rule, error) &&
         read_alpha_per(config, rule, error);
}

static const char *const fastdms_window[] = {"window_size", "dms_window_size", NULL};

static gboolean read_fastdms(const DmsJson *json, DmsRule *rule, GError **error) {
  gboolean adapter = FALSE;
  if (!dms_json_boolean(json, "dms_separate_alpha", FALSE, &adapter, error)) return FALSE;
  if (adapter)
    return dms_json_refuse(json, "dms_separate_alpha", error, "FastDMS checkpoints of a llama have no adapter");
  rule->source = DMS_SOURCE_BORROWED_Q;
  return read_numbers(json, fastdms_window, (const char *const[]){"alpha_scale", "dms_alpha_scale", NULL},
                      (const char *const[]){"alpha_offset", "dms_alpha_offset", "dms_initial_alpha_offset", NULL},
                      (const char *const[]){"target_cr", "dms_cr", NULL}, rule, error);
}

/* FastDMS's side file at `path`. One that is `shared` with others, training_log.json, counts where its "config" has a
 * window: `*found`. */
static gboolean read_fastdms_file(const char *path, gboolean shared, DmsRule *rule, gboolean *found, GError **error) {
  json_t *root = dms_json_read(path, DMS_MAX_JSON, DMS_ERROR_MODEL, error);
  if (!root) return FALSE;
  json_t *nested = json_object_get(root, "config");
  DmsJson json = {.file = path, .where = "", .object = root, .code = DMS_ERROR_MODEL};
  if (json_is_object(nested)) json.object = nested, json.where = "config.";
  *found = !shared || (json.object == nested && dms_json_has(&json, first_key(&json, fastdms_window)));
  gboolean ok = !*found || read_fastdms(&json, rule, error);
  json_decref(root);
  return ok;
}

/* 0 or 1, as a number or as a truth value. */
static gboolean read_switch(const DmsJson *json, const char *key, int *value, GError **error) {
  json_t *member = json_object_get(json->object, key);
  if (json_is_boolean(member)) {
    *value = json_is_true(member);
    return TRUE;
  }
  return dms_json_integer(json, key, TRUE, 0, 1, value, error);
}

static gboolean check_rule_keys(const DmsJson *json, GError **error) {
  static const char *const keys[] = {"window", "scale", "offset", "source", "shift", "rezero", NULL};
  const char *key;
  json_t *value;
  json_object_foreach(json->object, key, value) {
    if (!g_strv_contains(keys, key))
      return dms_json_refuse(json, key, error, "the keys are window, scale, offset, source, shift and rezero");
  }
  return TRUE;
}

static gboolean read_rule_file(const char *path, const DmsJson *config, DmsRule *rule, GError **error) {
  json_t *root = dms_json_read(path, DMS_MAX_JSON, DMS_ERROR_MODEL, error);
  if (!root) return FALSE;
  DmsJson json = {.file = path, .where = "", .object = root, .code = DMS_ERROR_MODEL};
  const char *source = "";
  double scale = 0, offset = 0;
  gboolean ok = check_rule_keys(&json, error) &&
                dms_json_integer(&json, "window", TRUE, 0, DMS_MAX_POSITIONS, &rule->window, error) &&
                dms_json_number(&json, "scale", TRUE, -1e6, 1e6, &scale, error) &&
                dms_json_number(&json, "offset", TRUE, -1e6, 1e6, &offset, error) &&
                dms_json_string(&json, "source", TRUE, &source, error) &&
                read_switch(&json, "shift", &rule->shift, error) &&
                read_switch(&json, "rezero", &rule->rezero, error) && read_alpha_per(config, rule, error) &&
                dms_json_integer(config, "dms_cr", FALSE, 1, DMS_MAX_POSITIONS, &rule->cr, error);
  rule->scale = (float)scale;
  rule->offset = (float)offset;
  if (ok && g_str_equal(source, "borrowed_q")) rule->source = DMS_SOURCE_BORROWED_Q;
  if (ok && g_str_equal(source, "adapter")) rule->source = DMS_SOURCE_ADAPTER, rule->rezero = FALSE;
  if (ok && rule->source == DMS_SOURCE_NONE)
    ok = dms_json_refuse(&json, "source", error, "it must be \"borrowed_q\" or \"adapter\"");
  json_decref(root);
  return ok;
}

static gboolean has_dms_keys(const DmsJson *config) {
  const char *key;
  json_t *value;
  json_object_foreach(config->object, key, value) {
    if (g_str_has_prefix(key, "dms_") && !json_is_null(value)) return TRUE;
  }
  return FALSE;
}

gboolean dms_rule_read(const char *dir, const DmsJson *config, DmsModelType type, DmsRule *rule, char **file,
                       GError **error) {
  g_autofree char *exact = g_build_filename(dir, "dms_rule.json", NULL);
  g_autofree char *metadata = g_build_filename(dir, "dms_metadata.json", NULL);
  g_autofree char *log = g_build_filename(dir, "..", "training_log.json", NULL);
  *rule = (DmsRule){.source = DMS_SOURCE_NONE};
  *file = NULL;
  gboolean found;
  if (g_file_test(exact, G_FILE_TEST_EXISTS)) {
    if (!read_rule_file(exact, config, rule, error)) return FALSE;
    *file = g_steal_pointer(&exact);
    return TRUE;
  }
  if (g_file_test(metadata, G_FILE_TEST_EXISTS)) {
    if (type != DMS_MODEL_LLAMA) {
      g_set_error(error, DMS_ERROR, DMS_ERROR_MODEL,
                  "%s: FastDMS's metadata are known for llama alone; state the rule in dms_rule.json", metadata);
      return FALSE;
    }
    if (!read_fastdms_file(metadata, FALSE, rule, &found, error)) return FALSE;
    *file = g_steal_pointer(&metadata);
    return TRUE;
  }
  if (type == DMS_MODEL_LLAMA && g_file_test(log, G_FILE_TEST_EXISTS)) {
    if (!read_fastdms_file(log, TRUE, rule, &found, error)) return FALSE;
    if (found) *file = g_steal_pointer(&log);
    if (found) return TRUE;
  }
  if (!has_dms_keys(config)) return TRUE;
  if (type == DMS_MODEL_QWEN3) return read_nvidia(config, rule, error);
  if (type == DMS_MODEL_LLAMA) return read_fastdms(config, rule, error);
  g_set_error(error, DMS_ERROR, DMS_ERROR_MODEL,
              "%s has dms_* keys, but no public DMS checkpoint is a qwen2; state the rule in dms_rule.json",
              config->file);
  return FALSE;
}
