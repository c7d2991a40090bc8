/* The file at the end of a transfer: partial, hashed, synced, checked, renamed. */
#include "datasets/download.h"

#include "datasets/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HASH_CHUNK ((gsize)1 << 20)

typedef struct {
  const Download *download;
  char *partial; /* NULL once the file is in its place */
  int fd;
  guint64 have;
  GChecksum *sum;
} FileSink;

void download_free(Download *download) {
  g_free(download->url);
  g_free(download->name);
  g_free(download->path);
  g_free(download->digest);
  g_free(download);
}

static guint64 free_bytes(const char *folder) {
  struct statvfs status;
  return statvfs(folder, &status) == 0 ? (guint64)status.f_bavail * status.f_frsize : G_MAXUINT64;
}

static gboolean fail_full(GError **error, const char *folder, guint64 needed) {
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO,
              "%s: no room: %" G_GUINT64_FORMAT " bytes needed, %" G_GUINT64_FORMAT
              " free; make room, or set HF_HOME to a folder on a larger disk",
              folder, needed, free_bytes(folder));
  return FALSE;
}

/* A checksum that has what comes before the content: git hashes "blob SIZE" and a NUL first. */
static GChecksum *new_sum(const Download *download) {
  gboolean is_git = download->digest && strlen(download->digest) == 40;
  GChecksum *sum = g_checksum_new(is_git ? G_CHECKSUM_SHA1 : G_CHECKSUM_SHA256);
  if (is_git) {
    char head[32];
    int length = g_snprintf(head, sizeof head, "blob %" G_GUINT64_FORMAT, download->size);
    g_checksum_update(sum, (guchar *)head, length + 1);
  }
  return sum;
}

/* ---- The sink --------------------------------------------------------------------------------------------------- */

static guint64 file_have(gpointer data) {
  return ((FileSink *)data)->have;
}

static gboolean file_write(gpointer data, const char *bytes, gsize length, GError **error) {
  FileSink *sink = data;
  for (gsize done = 0; done < length;) {
    ssize_t n = write(sink->fd, bytes + done, length - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT)) {
      g_autofree char *folder = g_path_get_dirname(sink->partial);
      g_unlink(sink->partial);
      g_clear_pointer(&sink->partial, g_free);
      guint64 size = sink->download->size;
      return fail_full(error, folder, size > sink->have ? size - sink->have : length);
    }
    if (n < 0) return hub_write_error(error, sink->partial, errno);
    done += (gsize)n;
  }
  g_checksum_update(sink->sum, (const guchar *)bytes, (gssize)length);
  sink->have += length;
  return TRUE;
}

static gboolean file_restart(gpointer data, GError **error) {
  FileSink *sink = data;
  if (ftruncate(sink->fd, 0) != 0 || lseek(sink->fd, 0, SEEK_SET) != 0)
    return hub_write_error(error, sink->partial, errno);
  g_checksum_free(sink->sum);
  sink->sum = new_sum(sink->download);
  sink->have = 0;
  return TRUE;
}

static void sync_folder(const char *path) {
  g_autofree char *folder = g_path_get_dirname(path);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd); /* some file systems refuse this for folders; the file itself is synced */
  close(fd);
}

static gboolean file_finish(gpointer data, GError **error) {
  FileSink *sink = data;
  const Download *download = sink->download;
  const char *digest = g_checksum_get_string(sink->sum);
  if (download->digest && strcmp(digest, download->digest) != 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NETWORK,
                "%s: the content has the digest %s, expected %s; it was changed at its source or on the way",
                download->name, digest, download->digest);
    return FALSE;
  }
  if (fsync(sink->fd) != 0) return hub_write_error(error, sink->partial, errno);
  if (g_rename(sink->partial, download->path) != 0) return hub_write_error(error, download->path, errno);
  g_clear_pointer(&sink->partial, g_free);
  sync_folder(download->path);
  return TRUE;
}

/* ---- Opening and closing ---------------------------------------------------------------------------------------- */

/* Hashes what an earlier process left; more than the file has, or a read that fails, makes the sink begin anew. */
static gboolean take_over(FileSink *sink, GError **error) {
  g_autofree guchar *chunk = g_malloc(HASH_CHUNK);
  ssize_t n;
  while ((n = read(sink->fd, chunk, HASH_CHUNK)) > 0) {
    g_checksum_update(sink->sum, chunk, n);
    sink->have += (guint64)n;
  }
  return (n == 0 && sink->have <= sink->download->size) || file_restart(sink, error);
}

static gboolean file_open(FileSink *sink, const Download *download, GError **error) {
  g_autofree char *folder = g_path_get_dirname(download->path);
  *sink = (FileSink){.download = download, .fd = -1};
  if (g_mkdir_with_parents(folder, 0777) != 0) return hub_write_error(error, folder, errno);
  gboolean resumable = download->digest && download->size;
  sink->sum = new_sum(download);
  sink->partial = resumable ? partial_claim(download->path) : NULL;
  int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
  if (!sink->partial) {
    sink->partial = partial_name(download->path, TRUE);
    flags |= O_CREAT | O_EXCL;
  }
  sink->fd = open(sink->partial, flags, 0666);
  return sink->fd >= 0 ? take_over(sink, error) : hub_write_error(error, sink->partial, errno);
}

/* What is unfinished stays for a later call, under a name that says that nobody writes it. */
static void file_close(FileSink *sink) {
  if (sink->partial && sink->fd >= 0) {
    g_autofree char *left = partial_name(sink->download->path, FALSE);
    gboolean keep = sink->have > 0 && sink->download->digest && sink->download->size;
    if (!keep || g_rename(sink->partial, left) != 0) g_unlink(sink->partial);
  }
  if (sink->fd >= 0) close(sink->fd);
  g_clear_pointer(&sink->sum, g_checksum_free);
  g_free(sink->partial);
}

/* ---- Progress --------------------------------------------------------------------------------------------------- */

/* The rate is taken over the last few seconds. */
#define RATE_SECONDS 5
#define RATE_SAMPLES (5 * RATE_SECONDS)

typedef struct {
  const FileSink *sinks;
  guint n;
  DownloadsPresent present;
  guint64 total;
  DatasetProgressFunc report;
  gpointer user_data;
  gint64 time[RATE_SAMPLES]; /* a ring of moments and the bytes received until then */
  guint64 received[RATE_SAMPLES];
  guint samples;
} Progress;

static void on_progress(const Transfer *current, guint64 received, guint finished, gpointer data) {
  Progress *progress = data;
  gint64 now = g_get_monotonic_time();
  guint slot = progress->samples % RATE_SAMPLES;
  guint oldest = progress->samples < RATE_SAMPLES ? 0 : slot; /* about to be overwritten */
  gint64 since = progress->samples ? progress->time[oldest] : now;
  double rate =
      now > since ? (double)(received - progress->received[oldest]) * G_USEC_PER_SEC / (double)(now - since) : 0;
  progress->time[slot] = now;
  progress->received[slot] = received;
  progress->samples++;
  DatasetProgress report = {.file = current->name,
                            .done_bytes = progress->present.bytes,
                            .total_bytes = progress->total,
                            .bytes_per_second = rate,
                            .files_done = progress->present.files + finished,
                            .files_total = progress->present.files + progress->n};
  for (guint i = 0; i < progress->n; i++) report.done_bytes += progress->sinks[i].have;
  progress->report(&report, progress->user_data);
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

/* Total bytes of what is wanted; 0 when one size is unknown. */
static guint64 total_bytes(const GPtrArray *downloads, DownloadsPresent present) {
  guint64 total = present.bytes;
  for (guint i = 0; i < downloads->len; i++) {
    const Download *download = downloads->pdata[i];
    if (!download->size) return 0;
    total += download->size;
  }
  return total;
}

static gboolean check_room(const GPtrArray *downloads, const FileSink *sinks, GError **error) {
  guint64 needed = 0;
  for (guint i = 0; i < downloads->len; i++) {
    const Download *download = downloads->pdata[i];
    if (download->size > sinks[i].have) needed += download->size - sinks[i].have;
  }
  g_autofree char *folder = g_path_get_dirname(((const Download *)downloads->pdata[0])->path);
  return needed <= free_bytes(folder) || fail_full(error, folder, needed);
}

gboolean downloads_run(const GPtrArray *downloads, DownloadsPresent present, const char *page,
                       const TransferOrigin *origin, DatasetProgressFunc report, gpointer user_data, GError **error) {
  static const TransferSink into_file = {file_have, file_write, file_restart, file_finish};
  guint n = downloads->len, opened = 0;
  if (n == 0) return TRUE;
  g_autofree FileSink *sinks = g_new0(FileSink, n);
  g_autofree Transfer *transfers = g_new0(Transfer, n);
  g_autofree Transfer **list = g_new0(Transfer *, n);
  gboolean ok = TRUE;
  for (; ok && opened < n; opened++) {
    const Download *download = downloads->pdata[opened];
    ok = file_open(&sinks[opened], download, error);
    list[opened] = &transfers[opened];
    transfers[opened] = (Transfer){.url = download->url,
                                   .name = download->name,
                                   .page = page,
                                   .size = download->size,
                                   .max = download->max,
                                   .sink = &into_file,
                                   .sink_data = &sinks[opened]};
  }
  Progress progress = {.sinks = sinks,
                       .n = n,
                       .present = present,
                       .total = total_bytes(downloads, present),
                       .report = report,
                       .user_data = user_data};
  ok = ok && check_room(downloads, sinks, error) &&
       transfers_run(list, n, origin, report ? on_progress : NULL, &progress, error);
  for (guint i = 0; i < opened; i++) {
    file_close(&sinks[i]);
    g_free(transfers[i].next_page);
  }
  return ok;
}
