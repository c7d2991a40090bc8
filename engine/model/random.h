/* Weights made up, for measuring speed on shapes whose checkpoint is not at hand. Internal to engine/model. */
#ifndef DMS_RANDOM_H
#define DMS_RANDOM_H

#include "engine/model/files.h"

/* Adds tensor `name`, [rows, columns] or [rows] where columns is 0, to `files`. Its values depend on its name and
 * their place alone. */
void dms_random_add(DmsModelFiles *files, const char *name, int rows, int columns);
/* Values first .. first + n of a tensor that dms_random_add() made, as bfloat16: a vector that is a norm is spread
 * around 1, any other tensor around 0 with the deviation 1 / sqrt(columns), so that activations keep their size from
 * layer to layer. */
void dms_random_bf16(const DmsTensor *tensor, guint64 first, gsize n, uint16_t *out);

#endif
