/* The batch loop: which sequences run, which wait, when one ends. Internal to engine/; knows a backend by its table
 * only.
 *
 * First come, first served: waiting sequences are admitted in the order of arrival while slots and KV memory last
 * (admission.h). When the memory runs dry all the same, the youngest sequence is preempted: its slot is released and
 * it goes back to the head of the queue, to be replayed by prefill of its prompt and forced steps. So the oldest
 * always moves, and every sequence ends. */
#ifndef DMS_SCHEDULER_H
#define DMS_SCHEDULER_H

#include "engine/backend.h"

typedef struct DmsScheduler DmsScheduler;

/* Slots that a backend must have for `max_sequences` to run: one more, for a prompt whose threads are not all forked
 * yet. */
int dms_scheduler_slots(int max_sequences);

/* `ops`, `backend` and `options` outlive the scheduler. */
DmsScheduler *dms_scheduler_new(const DmsBackendOps *ops, DmsBackend *backend, const DmsBackendOptions *options,
                                int max_sequences);
void dms_scheduler_free(DmsScheduler *scheduler);

/* Queues the threads of a checked request. */
void dms_scheduler_submit(DmsScheduler *scheduler, const DmsRequest *request);
/* dms_engine_step(), without the text of completions. `done` may submit. */
gboolean dms_scheduler_step(DmsScheduler *scheduler, DmsCompletionFunc done, gpointer user_data, GError **error);
int dms_scheduler_pending(const DmsScheduler *scheduler);
/* The counters of `stats` that the scheduler keeps; the others stay as they were. */
void dms_scheduler_stats(const DmsScheduler *scheduler, DmsEngineStats *stats);

#endif
