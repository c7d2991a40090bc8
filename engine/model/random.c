/* Counter-based random weights: value i of a tensor is a hash of the tensor's key and i, so that any part can be
 * made by any thread. */
#include "engine/model/random.h"

#include "engine/model/convert.h"

#include <math.h>
#include <string.h>

void dms_random_add(DmsModelFiles *files, const char *name, int rows, int columns) {
  guint64 key = 14695981039346656037u; /* FNV-1a of the name */
  for (const char *c = name; *c; c++) key = (key ^ (guchar)*c) * 1099511628211u;
  DmsTensor *tensor = g_new0(DmsTensor, 1);
  *tensor = (DmsTensor){.name = g_strdup(name),
                        .dtype = DMS_DTYPE_BF16,
                        .rank = columns ? 2 : 1,
                        .shape = {rows, columns},
                        .file = -1,
                        .offset = key,
                        .bytes = (guint64)rows * MAX(columns, 1) * sizeof(uint16_t)};
  g_hash_table_insert(files->tensors, tensor->name, tensor);
}

/* The finalizer of SplitMix64. */
static inline guint64 mix(guint64 x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

enum { PER_HASH = 4 }; /* values of 16 bits from one hash */

void dms_random_bf16(const DmsTensor *tensor, guint64 first, gsize n, uint16_t *out) {
  gboolean norm = g_str_has_suffix(tensor->name, "norm.weight");
  float mean = norm ? 1.0f : 0.0f, deviation = 0.1f;
  if (tensor->rank == 2) deviation = 1.0f / sqrtf((float)tensor->shape[1]);
  float scale = deviation * sqrtf(3.0f) / 32768.0f; /* uniform in [-1, 1) has the variance 1/3 */
  for (gsize i = 0; i < n;) {
    guint64 place = first + i;
    guint64 bits = mix(tensor->offset + 0x9e3779b97f4a7c15u * (place / PER_HASH + 1)) >> (place % PER_HASH * 16);
    gsize end = MIN(n, i + PER_HASH - place % PER_HASH);
    for (; i < end; i++, bits >>= 16) out[i] = dms_bf16_from_f32(mean + scale * (int16_t)bits);
  }
}
