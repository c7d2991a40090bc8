/* One layer's attention for all runs of a pass: decisions, cache, scores. Internal to engine/cpu. */
#ifndef DMS_CPU_ATTENTION_H
#define DMS_CPU_ATTENTION_H

#include "engine/cpu/network.h"

/* Makes the threads' scratch memory large enough for a pass over these runs. */
void dms_attention_prepare(DmsNetwork *network, const DmsRun *runs, int n_runs);

/* network->qkv to network->mixed, through the caches. `first_row` [n_runs]; `n_rows` rows in all. */
void dms_attention(DmsNetwork *network, int layer, DmsRun *runs, const int *first_row, int n_runs, int n_rows);

#endif
