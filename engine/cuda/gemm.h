/* Matrix products by cuBLASLt, with the algorithm of each shape chosen once. Internal to engine/cuda. */
#ifndef DMS_CUDA_GEMM_H
#define DMS_CUDA_GEMM_H

#include "engine/cuda/kernels.h"

typedef enum {
  DMS_GEMM_STORE, /* T out = */
  DMS_GEMM_FLOAT, /* float out = */
  DMS_GEMM_ADD,   /* float out += : the residual stream */
} DmsGemmEnd;

typedef struct DmsGemm DmsGemm;

/* `type` is that of weights and inputs. NULL and DMS_ERROR_DEVICE when cuBLASLt does not start. */
DmsGemm *dms_gemm_new(DmsCudaType type, cudaStream_t stream, GError **error);
void dms_gemm_free(DmsGemm *gemm);
/* Chooses the algorithm of a shape, once: under bf16 by running the candidates on these buffers, of which `out` is
 * overwritten, over `copies` weights that lie `distance` bytes apart (so that they come from memory and not from the
 * cache); under f32 by cuBLASLt's own ranking, so that results do not depend on timings. */
gboolean dms_gemm_choose(DmsGemm *gemm, const DmsCudaLinear *linear, const void *x, int m, DmsGemmEnd end, void *out,
                         int copies, gsize distance, GError **error);
/* Queues the product. A shape that was not chosen takes cuBLASLt's first. */
gboolean dms_gemm_run(DmsGemm *gemm, const DmsCudaLinear *linear, const void *x, int m, DmsGemmEnd end, void *out,
                      GError **error);

#endif
