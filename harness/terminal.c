/* The terminal's width. */
#include "harness/terminal.h"

#include <glib.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int terminal_width(void) {
  struct winsize size;
  const char *columns = g_getenv("COLUMNS");
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return size.ws_col;
  int width = columns ? atoi(columns) : 0;
  return width >= 40 ? width : 100;
}
