/* The weight files of a model folder: one model.safetensors or the shards of an index. Internal to engine/model. */
#ifndef DMS_FILES_H
#define DMS_FILES_H

#include "engine/model/model.h"

typedef struct DmsModelFiles {
  int n;               /* files */
  int *descriptor;     /* [n] */
  char **path;         /* [n], NULL-terminated */
  GHashTable *tensors; /* safetensors.h */
} DmsModelFiles;

/* Opens the weights of `dir` and checks every header. NULL when a file is missing or malformed, or when index and
 * shards disagree. */
DmsModelFiles *dms_files_open(const char *dir, GError **error);
/* No file and no tensor: what a model of random weights starts from. */
DmsModelFiles *dms_files_new(void);
void dms_files_free(DmsModelFiles *files);

/* The names of the weight files of `dir`, NULL-terminated, without opening them; the index, where there is one, is
 * the first. Free with g_strfreev(). */
char **dms_files_list(const char *dir, GError **error);

#endif
