/* One writer at a time. The lease is a lock on FILE.lock, so it ends with its holder, `kill -9` included; the file
 * names the holder. The lock is not on the store itself: closing a second descriptor of a file drops SQLite's own locks
 * on it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "results/store.h"

struct ResultsLease {
  char *path;
  int fd;
};

static char *read_holder(int fd) {
  char text[256];
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = 0;
  g_strstrip(text);
  return text[0] && g_utf8_validate(text, -1, NULL) ? g_strdup(text) : g_strdup("another process");
}

static void write_holder(int fd) {
  g_autofree char *text = g_strdup_printf("process %d on %s\n", (int)getpid(), g_get_host_name());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, strlen(text), 0) < 0) return; /* only a message would miss it */
}

/* The holder removes the file when it is done, so a lock may have been taken on a file that is no longer there. */
static gboolean is_still_at(int fd, const char *path) {
  struct stat opened, named;
  return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

ResultsLease *results_lease_take(const char *path, GError **error) {
  g_autofree char *lock_path = g_strconcat(path, ".lock", NULL);
  for (;;) {
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
      g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_OPEN,
                  "%s: cannot create %s: %s; a store is written in a folder that can be written to", path, lock_path,
                  g_strerror(errno));
      return NULL;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      int why = errno;
      g_autofree char *holder = read_holder(fd);
      close(fd);
      if (why == EWOULDBLOCK)
        g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_OPEN,
                    "%s: %s is writing to it; wait until it ends, or name another --db", path, holder);
      else
        g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_OPEN,
                    "%s: cannot lock %s: %s; keep the store on a file system with locks", path, lock_path,
                    g_strerror(why));
      return NULL;
    }
    if (is_still_at(fd, lock_path)) {
      write_holder(fd);
      ResultsLease *lease = g_new(ResultsLease, 1);
      *lease = (ResultsLease){.path = g_steal_pointer(&lock_path), .fd = fd};
      return lease;
    }
    close(fd);
  }
}

void results_lease_release(ResultsLease *lease) {
  if (!lease) return;
  g_unlink(lease->path);
  close(lease->fd);
  g_free(lease->path);
  g_free(lease);
}

gboolean results_filesystem_is_local(unsigned long type) {
  static const unsigned remote[] = {
      0x6969,     /* NFS */
      0x517b,     /* SMB */
      0xff534d42, /* CIFS */
      0xfe534d42, /* SMB 2 */
      0x0bd00bd0, /* Lustre */
      0x47504653, /* GPFS */
      0x00c36400, /* Ceph */
      0x5346414f, /* AFS */
      0x6b414653, /* kAFS */
      0x73757245, /* Coda */
      0x01021997, /* 9P */
      0x65735546, /* FUSE: sshfs, s3fs and the like */
      0x7461636f, /* OCFS2 */
      0x01161970, /* GFS2 */
      0x19830326, /* BeeGFS */
      0xaad7aaea, /* PanFS */
      0x20030528, /* OrangeFS */
      0x786f4256, /* VirtualBox shared folder */
  };
  for (gsize i = 0; i < G_N_ELEMENTS(remote); i++)
    if ((type & 0xffffffff) == remote[i]) return FALSE;
  return TRUE;
}
