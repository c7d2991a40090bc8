/* Where results go: the terminal's width, and the store that commands use unless told otherwise. */
#ifndef HYPERSCALE_TERMINAL_H
#define HYPERSCALE_TERMINAL_H

#define DEFAULT_STORE "hyperscale.db"

/* Columns of the terminal on stdout; $COLUMNS or 100 where there is none. */
int terminal_width(void);
/* "WHAT  COUNTS" on stderr, a terminal, in the place of the line before. `what` is cut where both are wider than the
 * terminal: a line that goes on in the next row cannot be replaced. */
void terminal_replace_line(const char *what, const char *counts);
void terminal_clear_line(void);

#endif
