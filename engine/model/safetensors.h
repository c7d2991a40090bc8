/* The safetensors format: 8 bytes of header length, a JSON header, the data. Internal to engine/model. */
#ifndef DMS_SAFETENSORS_H
#define DMS_SAFETENSORS_H

#include "engine/model/model.h"

/* The tensors of one or more files by name: char * (the tensor's own) -> DmsTensor *, owned. */
GHashTable *dms_tensor_table_new(void);

/* Checks the header of one file and adds its tensors to `table`. `header` [length] is the JSON; `data_bytes` is what
 * the file has after it; `path` is for messages, `file` for DmsTensor.file. The tensors must be of a known dtype,
 * without holes or overlaps from byte 0 to the last, and of names that the table has not. On failure the table may
 * hold some of them. */
gboolean dms_safetensors_parse(const char *header, gsize length, guint64 data_bytes, const char *path, int file,
                               GHashTable *table, GError **error);
/* The same for an open file of `size` bytes: reads the length and the header, nothing else. */
gboolean dms_safetensors_read(int fd, guint64 size, const char *path, int file, GHashTable *table, GError **error);

/* The dtype as the format spells it: "F32". */
const char *dms_dtype_name(DmsDtype dtype);

#endif
