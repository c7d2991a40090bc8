/* Which part of a run this process does. Work is interleaved by problem, so that the parts are about equal; each
 * writes its own store and `merge` joins them. */
#ifndef HYPERSCALE_SHARD_H
#define HYPERSCALE_SHARD_H

#include <glib.h>

typedef struct {
  int index, count; /* this process does problems with position % count == index */
} Shard;

/* From `text` ("2/8": the third of eight); NULL: from the environment of a launcher, the first of:
 * SLURM_PROCID/SLURM_NTASKS (srun), SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN / SLURM_ARRAY_TASK_COUNT,
 * OMPI_COMM_WORLD_RANK/SIZE, PMI_RANK/SIZE, JOB_COMPLETION_INDEX/JOB_COMPLETIONS; else the whole. `*source` says
 * which (static). */
gboolean shard_resolve(const char *text, Shard *shard, const char **source, GError **error);

#endif
