/* Two rules for the order of options; the second one is Python's generator, number for number. */
#include "datasets/option_order.h"

#include <stdint.h>

/* The permutation of 0 .. OPTIONS-1 with this rank in lexicographic order. */
static OptionOrder unrank(guint rank) {
  guchar left[OPTIONS] = {0, 1, 2, 3};
  OptionOrder result;
  guint choices = 24;
  for (guint i = 0; i < OPTIONS; i++) {
    choices /= OPTIONS - i;
    guint pick = rank / choices;
    rank %= choices;
    result.order[i] = left[pick];
    for (guint j = pick; j + 1 < OPTIONS - i; j++) left[j] = left[j + 1];
  }
  return result;
}

OptionOrder option_order_seeded(guint64 seed, const char *id) {
  g_autofree char *key = g_strdup_printf("hyperscale option order\n%" G_GUINT64_FORMAT "\n%s", seed, id);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_checksum_update(sum, (const guchar *)key, -1);
  guchar digest[32];
  gsize length = sizeof digest;
  g_checksum_get_digest(sum, digest, &length);
  guint64 number = 0;
  for (int i = 0; i < 8; i++) number = number << 8 | digest[i];
  return unrank((guint)(number % 24));
}

/* MT19937 as Python's random module seeds and reads it. */
#define STATE 624
typedef struct {
  uint32_t word[STATE];
  int next;
} MersenneTwister;

static void twister_seed(MersenneTwister *twister, uint32_t seed) {
  uint32_t *word = twister->word;
  word[0] = 19650218;
  for (uint32_t i = 1; i < STATE; i++) word[i] = 1812433253u * (word[i - 1] ^ word[i - 1] >> 30) + i;
  /* init_by_array() with the one-word key that random.Random(seed) makes of a small integer. */
  uint32_t i = 1;
  for (int k = 0; k < STATE; k++) {
    word[i] = (word[i] ^ (word[i - 1] ^ word[i - 1] >> 30) * 1664525u) + seed;
    if (++i == STATE) word[0] = word[STATE - 1], i = 1;
  }
  for (int k = 0; k < STATE - 1; k++) {
    word[i] = (word[i] ^ (word[i - 1] ^ word[i - 1] >> 30) * 1566083941u) - i;
    if (++i == STATE) word[0] = word[STATE - 1], i = 1;
  }
  word[0] = 0x80000000u;
  twister->next = STATE;
}

static uint32_t twister_next(MersenneTwister *twister) {
  uint32_t *word = twister->word;
  if (twister->next == STATE) {
    for (int i = 0; i < STATE; i++) {
      uint32_t y = (word[i] & 0x80000000u) | (word[(i + 1) % STATE] & 0x7fffffffu);
      word[i] = word[(i + 397) % STATE] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    twister->next = 0;
  }
  uint32_t y = word[twister->next++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

/* Python's Random._randbelow(): as many bits as `n` has, drawn again until below `n`. */
static uint32_t random_below(MersenneTwister *twister, uint32_t n) {
  uint32_t value;
  do value = twister_next(twister) >> (32 - g_bit_storage(n));
  while (value >= n);
  return value;
}

void option_order_simple_evals(OptionOrder *orders, guint n) {
  MersenneTwister twister;
  twister_seed(&twister, 0);
  for (guint row = 0; row < n; row++) {
    guchar pool[OPTIONS] = {0, 1, 2, 3};
    for (guint i = 0; i < OPTIONS; i++) { /* random.sample() of a population this small */
      uint32_t pick = random_below(&twister, OPTIONS - i);
      orders[row].order[i] = pool[pick];
      pool[pick] = pool[OPTIONS - i - 1];
    }
  }
}
