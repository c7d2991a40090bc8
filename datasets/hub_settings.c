/* The environment variables of the Hugging Face client, read as it reads them. */
#include "datasets/dataset.h"
#include "datasets/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *setting(const char *name) {
  const char *value = g_getenv(name);
  return value && *value ? value : NULL;
}

static gboolean is_true(const char *name) {
  const char *value = setting(name);
  return value && (g_ascii_strcasecmp(value, "1") == 0 || g_ascii_strcasecmp(value, "on") == 0 ||
                   g_ascii_strcasecmp(value, "yes") == 0 || g_ascii_strcasecmp(value, "true") == 0);
}

gboolean hub_is_offline(void) {
  return is_true("HF_HUB_OFFLINE") || is_true("TRANSFORMERS_OFFLINE");
}
gboolean hub_links_are_disabled(void) {
  return is_true("HF_HUB_DISABLE_SYMLINKS");
}

/* The path that a variable holds, ~/ expanded. */
static char *path_setting(const char *name) {
  const char *value = setting(name);
  if (value && (g_str_has_prefix(value, "~/") || strcmp(value, "~") == 0))
    return g_build_filename(g_get_home_dir(), value + 1, NULL);
  return g_strdup(value);
}

static char *home_folder(void) {
  char *home = path_setting("HF_HOME");
  if (home) return home;
  g_autofree char *cache = path_setting("XDG_CACHE_HOME");
  return cache ? g_build_filename(cache, "huggingface", NULL)
               : g_build_filename(g_get_home_dir(), ".cache", "huggingface", NULL);
}

static char *below_home(const char *name) {
  g_autofree char *home = home_folder();
  return g_build_filename(home, name, NULL);
}

char *hub_cache_folder(void) {
  char *folder = path_setting("HF_HUB_CACHE");
  if (!folder) folder = path_setting("HUGGINGFACE_HUB_CACHE");
  return folder ? folder : below_home("hub");
}

char *hub_assets_folder(void) {
  char *folder = path_setting("HF_ASSETS_CACHE");
  return folder ? folder : below_home("assets");
}

char *hub_token(void) {
  const char *value = setting("HF_TOKEN");
  g_autofree char *token = g_strdup(value ? value : setting("HUGGING_FACE_HUB_TOKEN"));
  if (!token && !is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
    g_autofree char *path = path_setting("HF_TOKEN_PATH");
    if (!path) path = below_home("token");
    g_file_get_contents(path, &token, NULL, NULL);
  }
  if (token) g_strstrip(token);
  for (const char *p = token; p && *p; p++)
    if (!g_ascii_isgraph(*p)) return NULL; /* it would break the header that it is put into */
  return token && *token ? g_steal_pointer(&token) : NULL;
}

static char *endpoint(const char *name, const char *otherwise) {
  char *url = g_strdup(setting(name) ? setting(name) : otherwise);
  for (gsize length = strlen(url); length > 0 && url[length - 1] == '/'; length--) url[length - 1] = '\0';
  return url;
}

char *hub_endpoint(void) {
  return endpoint("HF_ENDPOINT", "https://huggingface.co");
}
char *hub_github_endpoint(void) {
  return endpoint("HYPERSCALE_GITHUB_RAW", "https://raw.githubusercontent.com");
}

int hub_stall_seconds(void) {
  const char *value = setting("HF_HUB_DOWNLOAD_TIMEOUT");
  int seconds = value ? atoi(value) : 0;
  return seconds > 0 && seconds <= 3600 ? seconds : 10;
}

/* The variable that says where a path of the cache is, or could. */
static const char *variable_of(const char *path) {
  g_autofree char *assets = hub_assets_folder();
  if (g_str_has_prefix(path, assets)) return setting("HF_ASSETS_CACHE") ? "HF_ASSETS_CACHE" : "HF_HOME";
  return setting("HF_HUB_CACHE")            ? "HF_HUB_CACHE"
         : setting("HUGGINGFACE_HUB_CACHE") ? "HUGGINGFACE_HUB_CACHE"
                                            : "HF_HOME";
}

gboolean hub_write_error(GError **error, const char *path, int code) {
  if (code == EACCES || code == EPERM || code == EROFS || code == ENOTDIR || code == ENOENT)
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO,
                "%s: %s; what is fetched is kept there: make it writable, or set %s to a folder that is", path,
                g_strerror(code), variable_of(path));
  else
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO, "%s: %s", path, g_strerror(code));
  return FALSE;
}
