/* Mapped memory, and how much of it there is. */
#include "engine/cpu/memory.h"

#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* The number that follows `key` in a file of "key number" lines ("" for a file of one number); FALSE when there is
 * none ("max"). */
static gboolean read_number(const char *path, const char *key, guint64 *value) {
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) return FALSE;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++)
    if (g_str_has_prefix(*line, key)) {
      const char *digits = *line + strlen(key);
      while (*digits == ' ') digits++;
      if (!g_ascii_isdigit(*digits)) return FALSE;
      *value = g_ascii_strtoull(digits, NULL, 10);
      return TRUE;
    }
  return FALSE;
}

/* What `ulimit -v`, which batch systems set, leaves to map; a quarter of it stays for stacks, files and the heap. */
static gsize address_space_left(void) {
  struct rlimit limit;
  guint64 pages;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      !read_number("/proc/self/statm", "", &pages))
    return G_MAXSIZE;
  guint64 used = pages * (guint64)sysconf(_SC_PAGESIZE);
  return limit.rlim_cur > used ? (gsize)(limit.rlim_cur - used) / 4 * 3 : 0;
}

gsize dms_memory_available(void) {
  guint64 available = G_MAXSIZE, kib, limit, current, file = 0;
  if (read_number("/proc/meminfo", "MemAvailable:", &kib)) available = kib * 1024;
  if (read_number("/sys/fs/cgroup/memory.max", "", &limit) &&
      read_number("/sys/fs/cgroup/memory.current", "", &current)) {
    read_number("/sys/fs/cgroup/memory.stat", "inactive_file ", &file);
    guint64 used = current > file ? current - file : 0;
    available = MIN(available, limit > used ? limit - used : 0);
  }
  return MIN((gsize)available, address_space_left());
}

void *dms_memory_map(gsize bytes, const char *what, GError **error) {
  void *memory = mmap(NULL, MAX(bytes, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY, "%s needs %" G_GSIZE_FORMAT " bytes: %s", what, bytes,
                g_strerror(errno));
    return NULL;
  }
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void dms_memory_unmap(void *memory, gsize bytes) {
  if (memory) munmap(memory, MAX(bytes, 1));
}
