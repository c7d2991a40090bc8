/* Between the program and libdms-cuda.so, which holds everything that needs a GPU. The program opens it when a CUDA
 * device is asked for, so that it runs where there is no CUDA at all. Internal to engine/cuda. */
#ifndef DMS_CUDA_LIBRARY_H
#define DMS_CUDA_LIBRARY_H

#include "engine/backend.h"

/* What the library needs of the program. */
typedef struct {
  GQuark (*error_quark)(void);
  gboolean (*read_f32)(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, float *out,
                       GError **error);
  gboolean (*read_bf16)(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, uint16_t *out,
                        GError **error);
  void (*rope_frequencies)(const DmsConfig *config, float *out);
} DmsCudaHost;

/* The library's one entry, "dms_cuda_backend_3": the number counts changes of the structs that cross. */
typedef const DmsBackendOps *(*DmsCudaEntry)(const DmsCudaHost *host);
const DmsBackendOps *dms_cuda_backend_3(const DmsCudaHost *host);

/* Within the library: what dms_cuda_backend_3() was given. */
extern DmsCudaHost dms_cuda_host;

#endif
