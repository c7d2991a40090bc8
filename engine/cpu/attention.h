/* One layer's attention for all runs of a pass: decisions, cache, scores. Internal to engine/cpu. */
#ifndef DMS_CPU_ATTENTION_H
#define DMS_CPU_ATTENTION_H

#include "engine/cpu/pass.h"

/* Floats of scratch memory that a worker needs for the scores of these runs, and for everything. */
gsize dms_attention_score_floats(const DmsRun *runs, int n_runs);
gsize dms_attention_floats(const DmsNetwork *network, const DmsRun *runs, int n_runs);

/* The workspace's qkv to its `mixed`, through the caches. */
void dms_attention(const DmsPass *pass, int layer);

#endif
