/* "did you mean ...": the nearest of the names allowed. */
#ifndef HYPERSCALE_SUGGEST_H
#define HYPERSCALE_SUGGEST_H

/* "; did you mean NAME?" for the name of `allowed` (NULL-terminated) nearest to `found` by edit distance, or "" when
 * none is near. g_free(). */
char *suggest(const char *found, const char *const *allowed);

#endif
