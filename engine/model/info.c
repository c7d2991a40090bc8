/* A model folder in the words of the public header. */
#include "engine/model/model.h"

gboolean dms_model_info_read(const char *model_dir, DmsModelInfo *info, GError **error) {
  DmsConfig config;
  if (!dms_config_read(model_dir, &config, error)) return FALSE;
  *info = (DmsModelInfo){
      .model_type = g_strdup(dms_model_type_name(config.type)),
      .layers = config.layers,
      .hidden = config.hidden,
      .heads = config.heads,
      .kv_heads = config.kv_heads,
      .head_dim = config.head_dim,
      .vocab = config.vocab,
      .context = config.context,
      .has_dms = config.dms.source != DMS_SOURCE_NONE,
      .dms_cr = config.dms.cr,
      .dms_window = config.dms.window,
      .item_bytes = 2 * sizeof(uint16_t) * (gsize)config.head_dim,
      .sampling = config.sampling,
  };
  dms_config_clear(&config);
  return TRUE;
}

void dms_model_info_clear(DmsModelInfo *info) {
  g_clear_pointer(&info->model_type, g_free);
}
