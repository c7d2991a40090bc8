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

static gsize row_values(const DmsTensor *tensor, int64_t first, int64_t rows) {
  gsize columns = tensor->rank == 2 ? (gsize)tensor->shape[1] : (gsize)tensor->shape[0];
  g_assert(first >= 0 && rows >= 0 && first + rows <= (tensor->rank == 2 ? tensor->shape[0] : 1));
  return columns;
}

static void f32_from_f16(const uint16_t *restrict in, gsize n, float *restrict out) {
  for (gsize i = 0; i < n; i++) out[i] = dms_f32_from_f16(in[i]);
}

static void f32_from_bf16(const uint16_t *restrict in, gsize n, float *restrict out) {
  for (gsize i = 0; i < n; i++) out[i] = dms_f32_from_bf16(in[i]);
}

static void bf16_from_f32(const float *restrict in, gsize n, uint16_t *restrict out) {
  for (gsize i = 0; i < n; i++) out[i] = dms_bf16_from_f32(in[i]);
}

static void bf16_from_f16(const uint16_t *restrict in, gsize n, uint16_t *restrict out) {
  for (gsize i = 0; i < n; i++) out[i] = dms_bf16_from_f32(dms_f32_from_f16(in[i]));
}

gboolean dms_model_read_f32(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, float *out,
                            GError **error) {
  gsize columns = row_values(tensor, first, rows), n = columns * (gsize)rows;
  guint64 start = columns * (guint64)first;
  if (tensor->dtype == DMS_DTYPE_F32) return read_raw(model, tensor, start, n, out, error);
  for (gsize done = 0; done < n; done += BLOCK) {
    uint16_t block[BLOCK];
    gsize part = MIN(n - done, (gsize)BLOCK);
    if (!read_raw(model, tensor, start + done, part, block, error)) return FALSE;
    (tensor->dtype == DMS_DTYPE_F16 ? f32_from_f16 : f32_from_bf16)(block, part, out + done);
  }
  return TRUE;
}

gboolean dms_model_read_bf16(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, uint16_t *out,
                             GError **error) {
  gsize columns = row_values(tensor, first, rows), n = columns * (gsize)rows;
  guint64 start = columns * (guint64)first;
  if (tensor->dtype == DMS_DTYPE_BF16) return read_raw(model, tensor, start, n, out, error);
  for (gsize done = 0; done < n; done += BLOCK) {
    union {
      float f32[BLOCK];
      uint16_t f16[BLOCK];
    } block;
    gsize part = MIN(n - done, (gsize)BLOCK);
    if (!read_raw(model, tensor, start + done, part, &block, error)) return FALSE;
    if (tensor->dtype == DMS_DTYPE_F32)
      bf16_from_f32(block.f32, part, out + done);
    else
      bf16_from_f16(block.f16, part, out + done);
  }
  return TRUE;
}
