#include "results/parallel.h"

typedef struct {
  guint n, next;
  void (*func)(guint i, gpointer data);
  gpointer data;
} Loop;

static gpointer take_turns(gpointer user_data) {
  Loop *loop = user_data;
  for (guint i; (i = (guint)g_atomic_int_add((gint *)&loop->next, 1)) < loop->n;) loop->func(i, loop->data);
  return NULL;
}

void results_parallel(guint n, void (*func)(guint i, gpointer data), gpointer data) {
  Loop loop = {.n = n, .func = func, .data = data};
  guint others = MIN(n, g_get_num_processors());
  others -= others > 0;
  g_autofree GThread **thread = g_new(GThread *, others + 1);
  for (guint i = 0; i < others; i++) thread[i] = g_thread_try_new("results", take_turns, &loop, NULL);
  take_turns(&loop); /* all of it, where the system refuses threads */
  for (guint i = 0; i < others; i++)
    if (thread[i]) g_thread_join(thread[i]);
}
