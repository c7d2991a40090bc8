/* Where results go: the terminal's width, and the store that commands use unless told otherwise. */
#ifndef HYPERSCALE_TERMINAL_H
#define HYPERSCALE_TERMINAL_H

#define DEFAULT_STORE "hyperscale.db"

/* Columns of the terminal on stdout; $COLUMNS or 100 where there is none. */
int terminal_width(void);

#endif
