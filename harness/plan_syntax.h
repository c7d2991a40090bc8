/* The text of a plan against its schema, before libcyaml loads it. */
#ifndef HYPERSCALE_PLAN_SYNTAX_H
#define HYPERSCALE_PLAN_SYNTAX_H

#include <cyaml/cyaml.h>
#include <glib.h>

/* FALSE with PLAN_ERROR_VALUE for the first mistake in `text`, which the message calls `file`: line, column, what was
 * found, what is allowed. libcyaml itself would read 4x as 4 and 010 as 8, would leave what follows the first document
 * unread, and tells of most mistakes the line before. What passes is loaded without complaint. */
gboolean plan_syntax_check(const char *file, const char *text, const cyaml_schema_value_t *schema, GError **error);

#endif
