/* The model's layers over rows of tokens: what steps and prompts have in common. Internal to engine/cuda. */
#ifndef DMS_CUDA_LAYERS_H
#define DMS_CUDA_LAYERS_H

#include "engine/cuda/device.h"

/* x -> qkv of rows first .. first + n, and the logits of decisions that are not made in the rotating kernel. */
gboolean dms_cuda_layer_in(DmsBackend *backend, int layer, int first, int n, GError **error);
/* attended -> x: output projection and MLP of rows first .. first + n. */
gboolean dms_cuda_layer_out(DmsBackend *backend, int layer, int first, int n, GError **error);
/* The arguments of the rotating kernels. */
DmsCudaRope dms_cuda_layer_rope(DmsBackend *backend, int layer);
/* Final norm and head of `n` rows of `x`, at most max_rows, into `logits`. */
gboolean dms_cuda_head(DmsBackend *backend, const float *x, int n, float *logits, GError **error);

#endif
