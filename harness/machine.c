/* What this machine is, from /proc and uname. */
#include "harness/machine.h"

#include <glib.h>
#include <jansson.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static char *cpu_model(void) {
  g_autofree char *text = NULL;
  if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) return g_strdup("unknown");
  const char *line = strstr(text, "model name"), *colon = line ? strchr(line, ':') : NULL;
  return colon ? g_strstrip(g_strndup(colon + 1, strcspn(colon + 1, "\n"))) : g_strdup("unknown");
}

char *machine_describe(const char *device) {
  struct utsname system;
  struct sysinfo info;
  g_autofree char *cpu = cpu_model();
  uname(&system);
  sysinfo(&info);
  json_t *json =
      json_pack("{s:s, s:i, s:s, s:s, s:I, s:s}", "cpu", cpu, "cores", get_nprocs(), "architecture", system.machine,
                "kernel", system.release, "memory_bytes", (json_int_t)info.totalram * info.mem_unit, "device", device);
  char *dumped = json_dumps(json, JSON_SORT_KEYS), *text = g_strdup(dumped);
  free(dumped);
  json_decref(json);
  return text;
}
