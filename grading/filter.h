/* The sandbox's system call filter, as the kernel takes it. Internal to grading/. */
#ifndef HYPERSCALE_GRADING_FILTER_H
#define HYPERSCALE_GRADING_FILTER_H

#include <glib.h>

G_BEGIN_DECLS

/* An array of struct sock_filter for this machine's architecture. `alone`: for a program with a namespace of processes
 * to itself. */
GBytes *grade_filter_compile(gboolean alone, GError **error);

G_END_DECLS

#endif
