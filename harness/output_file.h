/* A file that a command writes: whole or not at all. */
#ifndef HYPERSCALE_OUTPUT_FILE_H
#define HYPERSCALE_OUTPUT_FILE_H

#include <glib.h>
#include <stdio.h>

typedef struct {
  FILE *file;
  char *path, *temporary; /* `temporary` NULL: written in place */
  int failed;             /* errno of the first write that failed */
} OutputFile;

/* Begins `path`. A regular file is written beside it and takes its place when it is complete; devices, pipes and
 * links (/dev/stdout) are written in place, never replaced. */
gboolean output_open(OutputFile *output, const char *path, GError **error);
/* Writes `length` bytes; output_close() tells whether that went well. */
void output_put(OutputFile *output, const void *data, gsize length);
/* Ends it. FALSE where a write has failed: what was there before stays. */
gboolean output_close(OutputFile *output, GError **error);
/* All of it at once. */
gboolean output_write(const char *path, const char *data, gsize length, GError **error);

#endif
