/* The machine, for provenance. */
#ifndef HYPERSCALE_MACHINE_H
#define HYPERSCALE_MACHINE_H

/* A JSON object: cpu, cores, kernel, memory, device (the engine's own words). Holds nothing that names the host or
 * its user. g_free(). */
char *machine_describe(const char *device);

#endif
