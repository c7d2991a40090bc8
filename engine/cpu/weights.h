/* The weights of a model in the CPU's layout. Internal to engine/cpu.
 *
 * Matrices stay bf16 where the file has bf16 (other types become f32), in panels; query, key and value matrices are
 * stacked into one, and so are gate and up, 16 outputs of each to a panel. Vectors are f32. All of it lies in one
 * mapping. */
#ifndef DMS_CPU_WEIGHTS_H
#define DMS_CPU_WEIGHTS_H

#include "engine/cpu/kernels.h"
#include "engine/cpu/threads.h"
#include "engine/model/model.h"

typedef struct {
  DmsMatrix qkv, o, gate_up, down;
  float *input_norm, *post_norm; /* [hidden] */
  float *q_norm, *k_norm;        /* [head_dim]; NULL: none */
  float *alpha, *alpha_norm;     /* adapter: [kv_heads or 1, hidden], [hidden]; NULL: none */
  float *alpha_bias;             /* [kv_heads or 1]; NULL: none */
} DmsCpuLayer;

typedef struct {
  DmsMatrix embed, head; /* the same memory when they are tied */
  float *norm;           /* [hidden] */
  DmsCpuLayer *layers;
  void *memory;
  gsize bytes;
} DmsCpuWeights;

/* Reads the weights with all threads. DMS_ERROR_MEMORY when the machine has no room for them, or an error of reading
 * them. */
gboolean dms_cpu_weights_load(DmsCpuWeights *weights, const DmsModel *model, DmsThreads *threads, GError **error);
void dms_cpu_weights_clear(DmsCpuWeights *weights);

/* Row `id` of the embedding as [hidden] floats. */
void dms_cpu_embed(const DmsMatrix *embed, int id, float *out);

#endif
