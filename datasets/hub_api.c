/* The two questions asked of the hub: what commit a revision is, and what files the commit has. */
#include "datasets/hub.h"

#include "datasets/dataset.h"
#include "datasets/rows.h"

#include <string.h>

#define MAX_RESPONSE ((gsize)64 << 20)
#define MAX_FILES 100000
#define MAX_PAGES 200 /* of a listing; the hub puts a thousand files on each */

static char *api_url(const HubRepo *repo, const char *question, const char *revision, const char *query,
                     const TransferOrigin *origin) {
  g_autofree char *escaped = g_uri_escape_string(revision, NULL, FALSE);
  return g_strconcat(origin->endpoint, "/api/", repo->is_dataset ? "datasets/" : "models/", repo->id, "/", question,
                     "/", escaped, query, NULL);
}

char *hub_page(const HubRepo *repo, const TransferOrigin *origin) {
  return g_strconcat(origin->endpoint, repo->is_dataset ? "/datasets/" : "/", repo->id, NULL);
}

char *hub_file_url(const HubRepo *repo, const char *commit, const char *path, const TransferOrigin *origin) {
  g_autofree char *page = hub_page(repo, origin), *escaped = g_uri_escape_string(path, "/", FALSE);
  return g_strconcat(page, "/resolve/", commit, "/", escaped, NULL);
}

static json_t *ask(const HubRepo *repo, const char *url, const TransferOrigin *origin, char **next, GError **error) {
  g_autofree char *page = hub_page(repo, origin);
  g_autoptr(GByteArray) bytes = transfer_get(url, page, MAX_RESPONSE, origin, next, error);
  if (!bytes) return NULL;
  json_error_t at;
  json_t *answer = json_loadb((const char *)bytes->data, bytes->len, JSON_REJECT_DUPLICATES, &at);
  if (!answer)
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NETWORK, "%s: the answer is not JSON: %s; is this the hub?", url,
                at.text);
  return answer;
}

char *hub_resolve(const HubRepo *repo, const TransferOrigin *origin, GError **error) {
  g_autofree char *url = api_url(repo, "revision", repo->revision, "", origin);
  g_autoptr(json_t) answer = ask(repo, url, origin, NULL, error);
  if (!answer) return NULL;
  const char *commit = json_string_value(json_object_get(answer, "sha"));
  if (commit && hub_is_commit(commit)) return g_strdup(commit);
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_NETWORK, "%s: the answer has no commit in its field \"sha\"", url);
  return NULL;
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

static void file_free(gpointer data) {
  HubFile *file = data;
  g_free(file->path);
  g_free(file->digest);
  g_free(file);
}

static gboolean is_digest(const char *text, gsize length) {
  return text && strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

/* Adds an entry of the tree: {"type": "file", "path", "size", "oid", "lfs": {"oid", "size"}}. Folders are passed
 * over. */
static gboolean add_entry(json_t *entry, GPtrArray *files, const char *url, GError **error) {
  const char *type = json_string_value(json_object_get(entry, "type"));
  const char *path = json_string_value(json_object_get(entry, "path"));
  if (g_strcmp0(type, "directory") == 0) return TRUE;
  if (!path || !hub_path_is_safe(path)) {
    g_autofree char *shown = g_strescape(path ? path : "(none)", NULL);
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NETWORK, "%s: the file name \"%.200s\" is refused", url, shown);
    return FALSE;
  }
  json_t *lfs = json_object_get(entry, "lfs"), *has = lfs ? lfs : entry;
  const char *digest = json_string_value(json_object_get(has, "oid"));
  json_t *size = json_object_get(has, "size");
  if (digest && g_str_has_prefix(digest, "sha256:")) digest += strlen("sha256:");
  if (!is_digest(digest, lfs ? 64 : 40) || !json_is_integer(size) || json_integer_value(size) < 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NETWORK, "%s: %s has no digest or no size", url, path);
    return FALSE;
  }
  HubFile *file = g_new(HubFile, 1);
  *file = (HubFile){g_strdup(path), (guint64)json_integer_value(size), g_strdup(digest)};
  g_ptr_array_add(files, file);
  return TRUE;
}

GPtrArray *hub_list(const HubRepo *repo, const char *commit, const TransferOrigin *origin, GError **error) {
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(file_free);
  g_autofree char *url = api_url(repo, "tree", commit, "?recursive=true", origin);
  for (guint page = 1; url; page++) {
    g_autofree char *next = NULL;
    g_autoptr(json_t) entries = ask(repo, url, origin, &next, error);
    if (!entries) return NULL;
    size_t i;
    json_t *entry;
    json_array_foreach(entries, i, entry) if (!add_entry(entry, files, url, error)) return NULL;
    if (!json_is_array(entries) || files->len > MAX_FILES || page > MAX_PAGES) {
      g_set_error(error, DATASET_ERROR, DATASET_ERROR_NETWORK,
                  "%s: the answer is no list of at most %d files on %d pages", url, MAX_FILES, MAX_PAGES);
      return NULL;
    }
    g_free(url);
    url = g_steal_pointer(&next);
  }
  return g_steal_pointer(&files);
}

const HubFile *hub_files_find(const GPtrArray *files, const char *path) {
  for (guint i = 0; i < files->len; i++)
    if (strcmp(((const HubFile *)files->pdata[i])->path, path) == 0) return files->pdata[i];
  return NULL;
}
