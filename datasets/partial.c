/* Names of unfinished files: BASE.BOOT-NAMESPACE-PID-START.RANDOM.incomplete.
 *
 * Boot, process namespace, process id and start time together name one process for good, so a file whose process is
 * gone can be told without a lock. A file of another machine or container is never taken: whether its process lives
 * cannot be seen from here. Process id 0 is nobody: a download that failed in good order leaves its file so. */
#include "datasets/download.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".incomplete"

/* The start time of a process, in clock ticks since boot: field 22 of its stat. 0 when there is no such process. */
static guint64 start_time(int pid) {
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid), *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) return 0;
  const char *after_name = strrchr(text, ')'); /* the name, field 2, may hold anything */
  if (!after_name) return 0;
  g_auto(GStrv) fields = g_strsplit(after_name, " ", -1);
  return g_strv_length(fields) > 20 ? g_ascii_strtoull(fields[20], NULL, 10) : 0;
}

/* "BOOT-NAMESPACE": what process ids mean something in. */
static char *machine(void) {
  g_autofree char *boot = NULL;
  char link[64] = "";
  if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL)) boot = g_strdup("00000000");
  if (readlink("/proc/self/ns/pid", link, sizeof link - 1) < 0) strcpy(link, "pid:[0]");
  return g_strdup_printf("%.8s-%" G_GUINT64_FORMAT, boot,
                         g_ascii_strtoull(link + strcspn(link, "0123456789"), NULL, 10));
}

char *partial_name(const char *path, gboolean owned) {
  g_autofree char *where = machine();
  int pid = owned ? getpid() : 0;
  return g_strdup_printf("%s.%s-%d-%" G_GUINT64_FORMAT ".%08x" SUFFIX, path, where, pid, owned ? start_time(pid) : 0,
                         g_random_int());
}

char *partial_claim(const char *path) {
  g_autofree char *folder = g_path_get_dirname(path), *base = g_path_get_basename(path), *here = machine();
  g_autofree char *mine = g_strdup_printf("%s.%s-", base, here);
  g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
  for (const char *name; entries && (name = g_dir_read_name(entries));) {
    int pid, end = 0;
    guint64 start;
    if (!g_str_has_prefix(name, mine) || !g_str_has_suffix(name, SUFFIX)) continue;
    if (sscanf(name + strlen(mine), "%d-%" G_GINT64_MODIFIER "u.%n", &pid, &start, &end) != 2 || !end) continue;
    if (pid != 0 && start_time(pid) == start) continue;
    g_autofree char *found = g_build_filename(folder, name, NULL);
    g_autofree char *claimed = partial_name(path, TRUE);
    if (rename(found, claimed) == 0) return g_steal_pointer(&claimed);
  }
  return NULL;
}
