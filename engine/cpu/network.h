/* A forward pass of the transformer on the CPU. Internal to engine/cpu.
 *
 * There is one code path for prompts and for single tokens. Matrix products are batched over all tokens of all runs;
 * attention takes the tokens of a run one after the other, each entering the list of its head before it attends over
 * that list. So a token's result is the same bit for bit whether it came in a prompt, in which chunk of it, or
 * alone, and whatever else was in the pass. */
#ifndef DMS_CPU_NETWORK_H
#define DMS_CPU_NETWORK_H

#include "engine/backend.h"
#include "engine/cpu/cache.h"
#include "engine/cpu/weights.h"

enum { DMS_CPU_ROWS = 256, DMS_OWN_ROWS = 64 }; /* most tokens of a pass: that all threads share; of one worker's own */

/* The activations of a pass, by row. */
typedef struct {
  int rows;
  float *stream, *normed; /* [rows, hidden] */
  float *qkv;             /* [rows, qkv.outputs] */
  float *mixed;           /* [rows, heads * head_dim] */
  float *activation;      /* [rows, intermediate] */
  float *angles;          /* [rows, head_dim]: cosines, sines */
  float *alpha;           /* [rows, kv_heads]: the adapter's logits */
  void *memory;           /* all of these */
  gsize bytes;
} DmsWorkspace;

typedef struct {
  const DmsConfig *config;
  DmsRule rule;
  int sinks; /* >= 0: every token from this position on is flagged; -1: not so */
  DmsEviction eviction;
  DmsHeadShape shape;
  const DmsKernels *kernels;
  DmsThreads *threads;
  DmsCpuWeights weights;
  DmsPagePool pool;
  float *frequencies;  /* [head_dim / 2] */
  DmsWorkspace shared; /* of a pass that all threads share */
  DmsWorkspace *own;   /* [threads]: of passes that are one worker's own */
  float **scratch;     /* [threads][scratch_floats]: of one attention task */
  gsize scratch_floats;
} DmsNetwork;

/* Consecutive tokens of one sequence. */
typedef struct {
  DmsSequenceCache *cache; /* pages for the tokens must have been reserved */
  const int32_t *ids;      /* [n] */
  int n;
  int n_logits;   /* the last so many tokens want their logits */
  float *logits;  /* [n_logits, vocab] */
  uint64_t reads; /* out: items attended to, summed over tokens, layers and heads */
  uint8_t *flags; /* [layers, kv_heads, observed] by position, NULL: not wanted; entries must be zero before */
  int32_t *live;  /* the same */
  int observed;
} DmsRun;

gboolean dms_network_open(DmsNetwork *network, const DmsBackendOptions *options, GError **error);
void dms_network_close(DmsNetwork *network);

/* Takes all tokens of all runs through the network; a run has DMS_CPU_ROWS tokens at most. */
void dms_network_forward(DmsNetwork *network, DmsRun *runs, int n_runs);
/* Tokens to give to each of `n` runs that are to be taken together and could have more. */
int dms_network_chunk(const DmsNetwork *network, int n);

#endif
