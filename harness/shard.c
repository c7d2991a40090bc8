/* Static sharding, by option or by a launcher's environment. */
#include "harness/shard.h"

static const struct {
  const char *index, *count, *first;
} launchers[] = {
    {"SLURM_PROCID", "SLURM_NTASKS", NULL},
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL},
    {"PMI_RANK", "PMI_SIZE", NULL},
    {"JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", NULL},
};

static gboolean parse_number(const char *text, gint64 *value) {
  return text && g_ascii_string_to_signed(text, 10, 0, G_MAXINT32, value, NULL);
}

gboolean shard_resolve(const char *text, Shard *shard, const char **source, GError **error) {
  *shard = (Shard){0, 1};
  *source = "whole";
  if (text) {
    gint64 index, count;
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    *source = "--shard";
    if (parse_number(parts[0], &index) && parse_number(parts[1], &count) && index < count) {
      *shard = (Shard){(int)index, (int)count};
      return TRUE;
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "--shard is \"%s\"; allowed: i/n with 0 <= i < n, such as 0/4 for the first of four", text);
    return FALSE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(launchers); i++) {
    gint64 index, count, first = 0;
    if (!parse_number(g_getenv(launchers[i].index), &index) || !parse_number(g_getenv(launchers[i].count), &count))
      continue;
    if (launchers[i].first && !parse_number(g_getenv(launchers[i].first), &first)) continue;
    if (count <= 1 || index < first || index - first >= count) continue;
    *shard = (Shard){(int)(index - first), (int)count};
    *source = launchers[i].index;
    return TRUE;
  }
  return TRUE;
}
