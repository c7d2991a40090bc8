/* The order in which a multiple-choice row shows its options, by a named rule. */
#ifndef HYPERSCALE_DATASETS_OPTION_ORDER_H
#define HYPERSCALE_DATASETS_OPTION_ORDER_H

#include <glib.h>

#define OPTIONS 4

/* order[i] is the row's option shown at letter i; option 0 is the correct one. */
typedef struct {
  guchar order[OPTIONS];
} OptionOrder;

/* "seeded": the permutation whose rank, in lexicographic order, is SHA-256("hyperscale option order\n" seed "\n" id)
 * modulo 24, the seed in decimal and the first eight bytes of the digest read as a big-endian number. It depends on
 * seed and id alone: a row keeps its letters when rows before it are removed or reordered. */
OptionOrder option_order_seeded(guint64 seed, const char *id);

/* "simple-evals": what openai/simple-evals shows. It repeats the rows four times and draws rng.sample(range(4), 4)
 * for each from Python's random.Random(0); a row's order here is that of its first repeat, so the i-th row of the
 * file has the i-th draw. Fills orders[0 .. n). */
void option_order_simple_evals(OptionOrder *orders, guint n);

#endif
