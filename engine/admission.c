/* Expected lengths, expected items, and the highest sum of memory that they lead to. */
#include "engine/admission.h"

#include "engine/policy.h"

#include <stdlib.h>

void dms_admission_init(DmsAdmission *admission, const DmsBackendOptions *options, const DmsMemory *memory) {
  const DmsConfig *config = &options->model->config;
  *admission = (DmsAdmission){.lists = config->layers * config->kv_heads,
                              .page_items = memory->page_items,
                              .total_pages = (double)(memory->bytes_total / memory->page_bytes)};
  gboolean decides = options->rule.source != DMS_SOURCE_NONE, window = options->window_sinks >= 0;
  admission->base_items = decides || window ? (double)dms_policy_least_items(options, G_MAXINT) : 0;
  admission->kept = window ? 0 : decides && options->rule.cr > 1 ? 1.0 / options->rule.cr : 1;
}

void dms_admission_ended(DmsAdmission *admission, int tokens, int generated, uint64_t items) {
  admission->lengths[admission->n_lengths++ % DMS_LENGTHS_SEEN] = generated;
  admission->margin *= 0.95;
  double later = tokens - admission->base_items;
  if (admission->base_items == 0 || later <= 0) return;
  double kept = ((double)items / admission->lists - admission->base_items) / later, memory = 0.98;
  admission->kept = (admission->kept * admission->kept_seen * memory + CLAMP(kept, 0, 1) * later) /
                    (admission->kept_seen * memory + later);
  admission->kept_seen = admission->kept_seen * memory + later;
}

void dms_admission_preempted(DmsAdmission *admission) {
  admission->margin = MIN(admission->margin + 0.02, 0.5);
}

/* Tokens that a sequence is expected to generate in all: the mean of the lengths seen that exceed what it has. */
static double expected_length(const DmsAdmission *admission, const DmsDemand *demand) {
  double sum = 0;
  int n = 0, most = demand->generated + demand->limit;
  for (int i = 0; i < MIN(admission->n_lengths, DMS_LENGTHS_SEEN); i++)
    if (admission->lengths[i] > demand->generated) sum += admission->lengths[i], n++;
  return n ? MIN(sum / n, most) : most;
}

typedef struct {
  double tokens, remaining;
} Course;

static int by_remaining(const void *a, const void *b) {
  double x = ((const Course *)a)->remaining, y = ((const Course *)b)->remaining;
  return (x > y) - (x < y);
}

/* Until the first sequence ends all grow, then all but that one: the sum is highest at one of the ends. A list of n
 * tokens is taken to have base + kept * (n - base) items, and its last page to be half full. */
gboolean dms_admission_fits(const DmsAdmission *admission, DmsDemand *demands, int n) {
  g_autofree Course *courses = g_new(Course, n);
  double tokens = 0;
  for (int i = 0; i < n; i++) {
    double remaining = MAX(expected_length(admission, &demands[i]) - demands[i].generated, 0);
    courses[i] = (Course){demands[i].tokens, remaining};
    tokens += demands[i].tokens;
  }
  qsort(courses, n, sizeof *courses, by_remaining);
  double least = admission->base_items * (1 - admission->kept),
         limit = admission->total_pages * (1 - admission->margin);
  for (int i = 0, left = n; i < n; i++, left--) {
    double items = left * least + admission->kept * (tokens + left * courses[i].remaining);
    if (admission->lists * (items / admission->page_items + 0.5 * left) > limit) return FALSE;
    tokens -= courses[i].tokens;
  }
  return TRUE;
}
