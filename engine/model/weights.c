/* Weights from disk (or from nowhere) into a backend's buffers, converted on the way. */
#include "engine/file.h"
#include "engine/model/convert.h"
#include "engine/model/files.h"
#include "engine/model/model.h"
#include "engine/model/random.h"

enum { BLOCK = 8192 }; /* values converted at a time: 32 KiB of the widest format stay in the first-level cache */

static int dtype_bytes(DmsDtype dtype) {
  return dtype == DMS_DTYPE_F32 ? 4 : 2;
}

/* Values first .. first + n of a tensor, as they are stored. */
static gboolean read_raw(const DmsModel *model, const DmsTensor *tensor, guint64 first, gsize n, void *out,
                         GError **error) {
  if (tensor->file < 0) {
    dms_random_bf16(tensor, first, n, out);
    return TRUE;
  }
  const DmsModelFiles *files = model->files;
  int width = dtype_bytes(tensor->dtype);
  return dms_file_read(files->descriptor[tensor->file], files->path[tensor->file], DMS_ERROR_MODEL,
                       tensor->offset + first * width, out, n * width, error);
}

typedef void (*Convert)(const void *in, gsize n, void *out);

static void f32_from_f16(const void *in, gsize n, void *out) {
  const uint16_t *restrict from = in;
  float *restrict to = out;
  for (gsize i = 0; i < n; i++) to[i] = dms_f32_from_f16(from[i]);
}

static void f32_from_bf16(const void *in, gsize n, void *out) {
  const uint16_t *restrict from = in;
  float *restrict to = out;
  for (gsize i = 0; i < n; i++) to[i] = dms_f32_from_bf16(from[i]);
}

static void bf16_from_f32(const void *in, gsize n, void *out) {
  const float *restrict from = in;
  uint16_t *restrict to = out;
  for (gsize i = 0; i < n; i++) to[i] = dms_bf16_from_f32(from[i]);
}

static void bf16_from_f16(const void *in, gsize n, void *out) {
  const uint16_t *restrict from = in;
  uint16_t *restrict to = out;
  for (gsize i = 0; i < n; i++) to[i] = dms_bf16_from_f32(dms_f32_from_f16(from[i]));
}

/* Rows first .. first + rows, block by block through `convert` into values of `width` bytes; NULL: as they are. */
static gboolean read_rows(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, Convert convert,
                          gsize width, void *out, GError **error) {
  gboolean matrix = tensor->rank == 2;
  g_assert(first >= 0 && rows >= 0 && first + rows <= (matrix ? tensor->shape[0] : 1));
  gsize columns = (gsize)tensor->shape[matrix ? 1 : 0], n = columns * (gsize)rows;
  guint64 start = columns * (guint64)first;
  if (!convert) return read_raw(model, tensor, start, n, out, error);
  g_autofree void *block = g_malloc(BLOCK * sizeof(float));
  for (gsize done = 0; done < n; done += BLOCK) {
    gsize part = MIN(n - done, (gsize)BLOCK);
    if (!read_raw(model, tensor, start + done, part, block, error)) return FALSE;
    convert(block, part, (char *)out + done * width);
  }
  return TRUE;
}

gboolean dms_model_read_f32(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, float *out,
                            GError **error) {
  static const Convert convert[] = {[DMS_DTYPE_F16] = f32_from_f16, [DMS_DTYPE_BF16] = f32_from_bf16};
  return read_rows(model, tensor, first, rows, convert[tensor->dtype], sizeof *out, out, error);
}

gboolean dms_model_read_bf16(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, uint16_t *out,
                             GError **error) {
  static const Convert convert[] = {
      [DMS_DTYPE_F32] = bf16_from_f32, [DMS_DTYPE_F16] = bf16_from_f16, [DMS_DTYPE_BF16] = NULL};
  return read_rows(model, tensor, first, rows, convert[tensor->dtype], sizeof *out, out, error);
}
