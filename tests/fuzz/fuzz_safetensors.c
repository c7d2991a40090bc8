/* Any bytes as a safetensors file. An even first byte: the rest is the file; an odd one: the rest is a header, to
 * which the length before and up to 64 KiB of data behind, by the next two bytes, are made up, so that the fuzzer
 * need not guess them. */
#include "engine/model/safetensors.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_all(int fd, const void *data, size_t size) {
  if (write(fd, data, size) != (ssize_t)size) g_error("memfd");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 3) return 0;
  int fd = memfd_create("fuzz", 0);
  guint64 header = size - 3, file = size - 1;
  if (data[0] & 1) {
    write_all(fd, &header, sizeof header);
    write_all(fd, data + 3, header);
    file = sizeof header + header + data[1] + 256u * data[2];
    if (ftruncate(fd, (off_t)file) != 0) g_error("ftruncate");
  } else {
    write_all(fd, data + 1, size - 1);
  }
  g_autoptr(GHashTable) table = dms_tensor_table_new();
  g_autoptr(GError) error = NULL;
  gboolean ok = dms_safetensors_read(fd, file, "fuzz.safetensors", 0, table, &error);
  g_assert(ok == !error);
  GHashTableIter iter;
  gpointer item;
  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, NULL, &item)) {
    const DmsTensor *tensor = item;
    g_assert(tensor->offset <= file && tensor->bytes <= file - tensor->offset);
  }
  close(fd);
  return 0;
}
