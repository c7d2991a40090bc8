/* The kernels of one instruction set, as a table. */
#include "engine/cpu/kernels/lanes.h"

#if DMS_WIDTH == 16
#define NAME "AVX-512"
#elif DMS_WIDTH == 8
#define NAME "AVX2"
#else
#define NAME "baseline"
#endif

extern const DmsKernels DMS_KERNEL(dms_kernels);
const DmsKernels DMS_KERNEL(dms_kernels) = {
    .name = NAME,
    .product = DMS_KERNEL(dms_product),
    .rms_norm = DMS_KERNEL(dms_rms_norm),
    .dot = DMS_KERNEL(dms_dot),
    .rotate = DMS_KERNEL(dms_rotate),
    .store_item = DMS_KERNEL(dms_store_item),
    .attend = DMS_KERNEL(dms_attend),
    .probe_multiply = DMS_KERNEL(dms_probe_multiply),
    .probe_read = DMS_KERNEL(dms_probe_read),
    .sample = DMS_KERNEL(dms_sample),
};
