/* Where the benchmarks are published, pinned, and where they are on this disk. Sources in Parquet alone are passed by
 * for plain ones. A source without a SHA-256 is pinned by its commit, and what comes must read as the whole task. */
#include "datasets/dataset.h"
#include "datasets/hub.h"
#include "datasets/livecodebench.h"
#include "datasets/rows.h"

#include <string.h>

static const HubSource sources[] = {
    {"aime24", "QwenLM/Qwen2.5-Math", TRUE, "a45202bd16f1ec06f433442dc1152d0074773465",
     "evaluation/data/aime24/test.jsonl", NULL},
    {"aime25", "math-ai/aime25", FALSE, "563bb8404243c5f09de6ec262f2db674fe5bce9b", "test.jsonl",
     "b4e273c02d3e7fe1b74b59eae768fc8230bfb0f79539890cb56f4361caac0331"},
    {"math500", "HuggingFaceH4/MATH-500", FALSE, "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", "test.jsonl",
     "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132"},
    {"gpqa-diamond", "idavidrein/gpqa", TRUE, "56686c06f5e19865c153de0fdb11be3890014df7", "dataset.zip",
     "461ae7329f15a3e35f8184d2dac24b990f34fdf12f366ca4062d8e6638cd08dc"},
    {"livecodebench", "livecodebench/code_generation_lite", FALSE, "0fe84c3912ea0c4d4a78037083943e8f0c4dd505", NULL,
     NULL},
};

static const char *const livecodebench_sha256[LIVECODEBENCH_FILES] = {
    "2bd02b38beb48e8c46b5b9987095d999ff38cd8efc255ea5d58974317c48f63f",
    "095df7c5daf15f882c51a9deb84085cff1e073495a5dbcf95015a564d485f3a3",
    "28ed26cc83363ce3f1fe2d5fad9f8393077beb1907b167a31bd3b32f80801b79",
    "d711138ddaebfcf5f8ec6a4283ee677298c0f5c5d374a235af92aaf0584510da",
    "7f77571c2a6df0c2a72a3277650309f67e01e0008e18117e624633df53f81214",
    "bb4c364f71921c4495a6ad15abe1a927350b720009f4933e2e71f8af0f6fd1f5",
};

const HubSource *hub_source(const char *task) {
  gsize base = strcspn(task, "@:");
  for (gsize i = 0; i < G_N_ELEMENTS(sources); i++)
    if (strlen(sources[i].task) == base && strncmp(sources[i].task, task, base) == 0) return &sources[i];
  return NULL;
}

const char *hub_source_sha256(const HubSource *source, const char *file) {
  if (source->file) return source->sha256;
  for (guint version = 1; version <= LIVECODEBENCH_FILES; version++)
    if (strcmp(file, lcb_file_name(version)) == 0) return livecodebench_sha256[version - 1];
  return NULL;
}

GPtrArray *hub_source_files(const HubSource *source, const char *task, GError **error) {
  g_autoptr(GPtrArray) files = g_ptr_array_new();
  if (source->file && strcmp(task, source->task) != 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME, "no task \"%.80s\"; %s has no releases", task, source->task);
    return NULL;
  }
  if (source->file) {
    g_ptr_array_add(files, (char *)source->file);
  } else {
    LcbSelection selection;
    if (!lcb_selection_parse(task + strcspn(task, "@:"), &selection, error)) return NULL;
    for (guint version = selection.first; version <= selection.last; version++)
      g_ptr_array_add(files, (char *)lcb_file_name(version));
  }
  return g_steal_pointer(&files);
}

/* ---- On this disk ----------------------------------------------------------------------------------------------- */

char *hub_source_folder(const HubSource *source) {
  if (!source->is_github) {
    HubRepo repo = {TRUE, (char *)source->repo, (char *)source->commit};
    return hub_snapshot_folder(&repo, source->commit);
  }
  g_autofree char *assets = hub_assets_folder();
  g_auto(GStrv) parts = g_strsplit(source->repo, "/", 2);
  g_autofree char *name = g_strjoin("--", parts[0], parts[1], NULL);
  return g_build_filename(assets, "hyperscale", name, source->commit, NULL);
}

/* Whether the file is the pinned one: by the name of the blob that it is a link to, by its SHA-256 where it is
 * small, by the commit that the folder is named after else. */
static gboolean is_pinned(const char *path, const char *sha256, gboolean is_pinned_commit) {
  if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) return FALSE;
  if (!sha256) return is_pinned_commit;
  g_autofree char *link = g_file_read_link(path, NULL), *text = NULL;
  if (link && g_str_has_suffix(link, sha256)) return TRUE;
  gsize length;
  if (!read_small_file(path, &text, &length, NULL)) return is_pinned_commit;
  g_autofree char *sum = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)text, length);
  return strcmp(sum, sha256) == 0;
}

/* The first of `files` that the folder lacks; NULL when it has all. */
static const char *first_missing(const char *folder, const HubSource *source, const GPtrArray *files,
                                 gboolean is_pinned_commit) {
  for (guint i = 0; i < files->len; i++) {
    g_autofree char *path = g_build_filename(folder, files->pdata[i], NULL);
    if (!is_pinned(path, hub_source_sha256(source, files->pdata[i]), is_pinned_commit)) return files->pdata[i];
  }
  return NULL;
}

/* The snapshot that another client has of a data set's main branch; NULL when there is none. */
static char *main_snapshot(const char *id) {
  HubRepo repo = {TRUE, (char *)id, "main"};
  g_autofree char *commit = hub_known_commit(&repo);
  return commit ? hub_snapshot_folder(&repo, commit) : NULL;
}

char *hub_find_task(const char *task, GError **error) {
  const HubSource *source = hub_source(task);
  g_autoptr(GPtrArray) files = hub_source_files(source, task, error);
  if (!files) return NULL;
  g_autofree char *folder = hub_source_folder(source);
  const char *missing = first_missing(folder, source, files, TRUE);
  if (missing && !source->is_github) {
    g_autofree char *other = main_snapshot(source->repo);
    if (other && !first_missing(other, source, files, FALSE)) {
      g_free(folder);
      folder = g_steal_pointer(&other);
      missing = NULL;
    }
  }
  if (missing && strcmp(source->task, "gpqa-diamond") == 0) { /* the gated copy of the hub */
    g_autofree char *other = main_snapshot("Idavidrein/gpqa");
    g_autofree char *csv = other ? g_build_filename(other, "gpqa_diamond.csv", NULL) : NULL;
    if (csv && g_file_test(csv, G_FILE_TEST_IS_REGULAR)) return g_steal_pointer(&csv);
  }
  if (!missing) return source->file ? g_build_filename(folder, source->file, NULL) : g_steal_pointer(&folder);
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_MISSING,
              "%s is not on this machine (no %s in %s); run `hyperscale fetch %.*s`, or name the file that you have",
              task, missing, folder, (int)strcspn(task, ":"), task);
  return NULL;
}
