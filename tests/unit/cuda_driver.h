/* A few calls of the NVIDIA driver, opened at run time, in the context that the backend uses: for tests that put data
 * on the device, take its memory away or break it, and that must start where there is no driver. */
#ifndef CUDA_DRIVER_H
#define CUDA_DRIVER_H

#include <dlfcn.h>
#include <glib.h>
#include <stdint.h>

typedef struct {
  int (*init)(unsigned flags);
  int (*retain)(void **context, int device);
  int (*set_current)(void *context);
  int (*allocate)(uint64_t *pointer, size_t bytes);
  int (*release)(uint64_t pointer);
  int (*memory)(size_t *available, size_t *total);
  int (*to_device)(uint64_t to, const void *from, size_t bytes);
  int (*to_host)(void *to, uint64_t from, size_t bytes);
  int (*fill)(uint64_t to, unsigned char value, size_t bytes);
  int (*wait)(void);
  int (*load)(void **module, const void *image);
  int (*find)(void **function, void *module, const char *name);
  int (*launch)(void *function, unsigned x, unsigned y, unsigned z, unsigned threads_x, unsigned threads_y,
                unsigned threads_z, unsigned shared, void *stream, void **parameters, void **extra);
} CudaDriver;

/* FALSE after g_test_skip() where there is no driver or no device. */
static inline gboolean cuda_driver_open(CudaDriver *driver) {
  static const char *const names[] = {
      "cuInit",           "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuMemAlloc_v2", "cuMemFree_v2",
      "cuMemGetInfo_v2",  "cuMemcpyHtoD_v2",          "cuMemcpyDtoH_v2", "cuMemsetD8_v2", "cuCtxSynchronize",
      "cuModuleLoadData", "cuModuleGetFunction",      "cuLaunchKernel",
  };
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL), *context;
  if (!library) {
    g_test_skip("no NVIDIA driver");
    return FALSE;
  }
  G_STATIC_ASSERT(sizeof *driver == sizeof(void *) * G_N_ELEMENTS(names));
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    ((void **)driver)[i] = dlsym(library, names[i]);
    g_assert_nonnull(((void **)driver)[i]);
  }
  if (driver->init(0) != 0 || driver->retain(&context, 0) != 0) {
    g_test_skip("no NVIDIA GPU");
    return FALSE;
  }
  g_assert_cmpint(driver->set_current(context), ==, 0);
  return TRUE;
}

/* The kernels' library of this build, in the folder above the test programs'. To be called where there is a GPU:
 * without the library the test fails there, lest it be taken for passed. */
static inline void *cuda_library_open(void) {
  g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
  g_autofree char *folder = g_path_get_dirname(program);
  g_autofree char *path = g_build_filename(folder, "..", "libdms-cuda.so", NULL);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) g_test_message("%s", dlerror());
  g_assert_nonnull(library);
  return library;
}

static inline void cuda_skip_without_toolkit(void) {
  g_test_skip("built without the CUDA Toolkit");
}
/* The main() of tests of launchers where the toolkit's headers are missing: one test, skipped. */
static inline int cuda_toolkit_missing(int argc, char **argv, const char *path) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func(path, cuda_skip_without_toolkit);
  return g_test_run();
}

#endif
