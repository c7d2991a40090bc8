/* Files of a model folder, opened and read as input from outside. Internal to engine/. */
#ifndef DMS_FILE_H
#define DMS_FILE_H

#include "engine/engine.h"

/* Opens a regular file for reading: a descriptor and its size in bytes, or -1. A directory, a FIFO or a device is an
 * error of `code`, as is a file that is not there. */
int dms_file_open(const char *path, DmsError code, guint64 *size, GError **error);
/* Reads exactly `length` bytes from `offset`. A file that ends before them is an error that names `path`.
 * Thread-safe. */
gboolean dms_file_read(int fd, const char *path, DmsError code, guint64 offset, void *out, gsize length,
                       GError **error);
/* The whole of a file of at most `limit` bytes; g_free(). */
char *dms_file_contents(const char *path, gsize limit, DmsError code, gsize *length, GError **error);

#endif
