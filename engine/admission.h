/* How many sequences the KV memory will bear. Internal to engine/.
 *
 * A sequence is let in when the memory that all are expected to need together, at the worst moment to come, is
 * there. What a sequence will need is not known: its length is expected to be that of the sequences that ended
 * before it, its items per token those that were seen. So the memory is over-committed against the worst case, and
 * now and then a sequence must be preempted; each time the margin grows. */
#ifndef DMS_ADMISSION_H
#define DMS_ADMISSION_H

#include "engine/backend.h"

enum { DMS_LENGTHS_SEEN = 256 };

typedef struct {
  int lists, page_items;
  double total_pages;
  double base_items;      /* items of a list before compression sets in */
  double kept, kept_seen; /* share of the later tokens that stay, and the weight of what it was measured on */
  int lengths[DMS_LENGTHS_SEEN], n_lengths; /* generated lengths of the last sequences that ended: a ring */
  double margin;                            /* share of the memory that is kept free */
} DmsAdmission;

/* A running sequence, or one that asks to be let in. */
typedef struct {
  int tokens;    /* in its cache now */
  int generated; /* of these, or to be replayed at once */
  int limit;     /* most tokens that it may still generate */
} DmsDemand;

void dms_admission_init(DmsAdmission *admission, const DmsBackendOptions *options, const DmsMemory *memory);
/* A sequence ended: `items` in all its lists after `tokens` tokens, `generated` of them its own. */
void dms_admission_ended(DmsAdmission *admission, int tokens, int generated, uint64_t items);
void dms_admission_preempted(DmsAdmission *admission);
/* Whether the memory is expected to bear all `n` together. `demands` is reordered. */
gboolean dms_admission_fits(const DmsAdmission *admission, DmsDemand *demands, int n);

#endif
