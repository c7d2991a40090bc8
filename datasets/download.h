/* Verified downloads into files.
 *
 * A file is written beside its place under a name that only this process uses, hashed while it comes, synced, compared
 * with its digest and only then renamed: what has the final name is whole. What a process that died left is taken over
 * by renaming it, so no lock is needed; the name says whose it was. */
#ifndef HYPERSCALE_DATASETS_DOWNLOAD_H
#define HYPERSCALE_DATASETS_DOWNLOAD_H

#include "datasets/dataset.h"
#include "datasets/transfer.h"

typedef struct {
  char *url, *name;
  char *path;   /* where the file ends; its folder is made */
  char *digest; /* 64 hex digits: SHA-256; 40: git blob SHA-1; NULL: none is known, and nothing is resumed */
  guint64 size; /* bytes; 0: unknown */
  guint64 max;  /* bytes allowed where the size is unknown */
} Download;

void download_free(Download *download);

/* What was here before, so that progress counts it. */
typedef struct {
  guint files;
  guint64 bytes;
} DownloadsPresent;

/* Downloads all (of Download *), several at once. `page` is for messages about access, may be NULL. DATASET_ERROR_IO,
 * with the bytes needed and free, when the disk has no room; DATASET_ERROR_NETWORK as transfers_run(), and when the
 * content does not have its digest in a second attempt either. What came so far stays for the next call, unless the
 * disk is full. */
gboolean downloads_run(const GPtrArray *downloads, DownloadsPresent present, const char *page,
                       const TransferOrigin *origin, DatasetProgressFunc progress, gpointer user_data, GError **error);

/* ---- Names of unfinished files (partial.c) ---------------------------------------------------------------------- */

/* A fresh name beside `path`, this process's own or nobody's. */
char *partial_name(const char *path, gboolean owned);
/* Takes over an unfinished file of `path` whose process is gone, and returns its new name; NULL when there is none. */
char *partial_claim(const char *path);

#endif
