/* Progress on stderr: one updating line on a terminal, a plain line every ten seconds elsewhere. */
#ifndef HYPERSCALE_PROGRESS_H
#define HYPERSCALE_PROGRESS_H

#include <glib.h>
#include <stdint.h>

typedef struct {
  gboolean quiet, terminal;
  gint64 started, shown;                             /* monotonic microseconds */
  guint threads_total, threads_done, threads_reused; /* reused: those of the done that the store had */
  guint problems_total, problems_done;
  uint64_t tokens, tokens_shown; /* generated so far */
  gint64 tokens_shown_at;
  double rate;       /* tokens a second, smoothed */
  const char *stage; /* static or outliving the progress */
  gboolean line_open;
} Progress;

void progress_begin(Progress *progress, gboolean quiet);
/* Shows the counters if it is time to. */
void progress_show(Progress *progress);
/* A line of its own that stays. */
void progress_note(Progress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Takes the updating line away, so that what is printed next does not stand behind it. */
void progress_close_line(Progress *progress);
void progress_end(Progress *progress);

/* "12.3 K", "4.56 M": three digits and a unit. */
void format_count(double value, char *text, gsize size);
/* "512 B", "4.56 MB". */
void format_bytes(double bytes, char *text, gsize size);
/* "12s", "3m 05s", "7h 12m". */
void format_duration(double seconds, char *text, gsize size);
/* Whether stdout may be coloured: a terminal, TERM not dumb, NO_COLOR empty or unset. */
gboolean colour_allowed(int fd);

#endif
