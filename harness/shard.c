/* Static sharding, by option or by a launcher's environment. */
#include "harness/shard.h"

#include <stdio.h>

static const struct {
  const char *index, *count, *first;
} launchers[] = {
    {"SLURM_PROCID", "SLURM_NTASKS", NULL},
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL},
    {"PMI_RANK", "PMI_SIZE", NULL},
    {"JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", NULL},
};

static gboolean read_number(const char *name, gint64 *value) {
  const char *text = name ? g_getenv(name) : NULL;
  return text && g_ascii_string_to_signed(text, 10, 0, G_MAXINT32, value, NULL);
}

gboolean shard_resolve(const char *text, Shard *shard, const char **source, GError **error) {
  *shard = (Shard){0, 1};
  *source = "whole";
  if (text) {
    char rest;
    *source = "--shard";
    if (sscanf(text, "%d/%d%c", &shard->index, &shard->count, &rest) == 2 && shard->count >= 1 && shard->index >= 0 &&
        shard->index < shard->count)
      return TRUE;
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "--shard is \"%s\"; allowed: i/n with 0 <= i < n, such as 0/4 for the first of four", text);
    return FALSE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(launchers); i++) {
    gint64 index, count, first = 0;
    if (!read_number(launchers[i].index, &index) || !read_number(launchers[i].count, &count)) continue;
    if (launchers[i].first && !read_number(launchers[i].first, &first)) continue;
    if (count <= 1 || index < first || index - first >= count) continue;
    *shard = (Shard){(int)(index - first), (int)count};
    *source = launchers[i].index;
    return TRUE;
  }
  return TRUE;
}
