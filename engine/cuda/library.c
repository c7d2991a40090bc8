/* dms_backend_cuda(): finds and opens libdms-cuda.so, or says what is missing. The only file of this folder in every
 * build. */
#include "engine/cuda/library.h"

#include <dlfcn.h>

#define LIBRARY "libdms-cuda.so"
#define ENTRY "dms_cuda_backend_3"

/* The library beside the program, in ../lib as installed, or in the build folder above a test program. */
static char *find_library(void) {
  static const char *const folders[] = {".", "../lib", "..", "../build"};
  g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
  if (!program) return NULL;
  g_autofree char *folder = g_path_get_dirname(program);
  for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
    g_autofree char *path = g_build_filename(folder, folders[i], LIBRARY, NULL);
    if (g_file_test(path, G_FILE_TEST_IS_REGULAR)) return g_steal_pointer(&path);
  }
  return NULL;
}

static const DmsBackendOps *load(GError **error) {
  static const DmsCudaHost host = {dms_error_quark, dms_model_read_f32, dms_model_read_bf16, dms_rope_frequencies};
  g_autofree char *path = find_library();
  if (!path) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_DEVICE,
                "device cuda: " LIBRARY
                " is not beside the program: this is a build without nvcc; use --device cpu or build where the CUDA "
                "Toolkit is");
    return NULL;
  }
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) { /* names the missing library: libcublasLt where there is no cuBLAS */
    g_set_error(error, DMS_ERROR, DMS_ERROR_DEVICE, "device cuda: %s; install it, or use --device cpu", dlerror());
    return NULL;
  }
  DmsCudaEntry entry = (DmsCudaEntry)dlsym(library, ENTRY);
  if (!entry) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_DEVICE,
                "device cuda: %s is of another version than this program: it has no " ENTRY, path);
    dlclose(library);
    return NULL;
  }
  return entry(&host);
}

static gboolean check(int device_index, GError **error);
static DmsBackend *open_backend(const DmsBackendOptions *options, GError **error);
static gboolean rates(int device_index, double *read_bytes, double *matrix_flops, GError **error);
static gboolean attention(int device_index, const DmsAttentionCase *shape, double *seconds, GError **error);

/* Before anything is open only these four can be called. */
static DmsBackendOps table = {
    .name = "cuda", .check = check, .open = open_backend, .rates = rates, .attention = attention};

/* The library's table, which then becomes the program's; it stays open. */
static const DmsBackendOps *loaded(GError **error) {
  static const DmsBackendOps *ops;
  if (ops || !(ops = load(error))) return ops;
  table = *ops;
  return ops;
}

static gboolean check(int device_index, GError **error) {
  const DmsBackendOps *ops = loaded(error);
  return ops && ops->check(device_index, error);
}

static DmsBackend *open_backend(const DmsBackendOptions *options, GError **error) {
  const DmsBackendOps *ops = loaded(error);
  return ops ? ops->open(options, error) : NULL;
}

static gboolean rates(int device_index, double *read_bytes, double *matrix_flops, GError **error) {
  const DmsBackendOps *ops = loaded(error);
  return ops && ops->rates(device_index, read_bytes, matrix_flops, error);
}

static gboolean attention(int device_index, const DmsAttentionCase *shape, double *seconds, GError **error) {
  const DmsBackendOps *ops = loaded(error);
  return ops && ops->attention(device_index, shape, seconds, error);
}

const DmsBackendOps *dms_backend_cuda(void) {
  return &table;
}
