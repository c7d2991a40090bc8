/* What must hold for every input. g_error() would end the process by SIGTRAP, of which libFuzzer knows nothing: the
 * input would be lost. */
#ifndef HYPERSCALE_TESTS_PROPERTY_H
#define HYPERSCALE_TESTS_PROPERTY_H

#include <glib.h>
#include <stdlib.h>

#define require(condition, ...)                                                                                        \
  do                                                                                                                   \
    if (!(condition)) {                                                                                                \
      g_printerr(__VA_ARGS__);                                                                                         \
      abort();                                                                                                         \
    }                                                                                                                  \
  while (0)

#endif
