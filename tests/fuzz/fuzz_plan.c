/* Any text as a plan: a store's own copy of one is read again too. */
#include "harness/plan.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(Plan) plan = plan_parse(text, "fuzz.yaml", &error);
  g_assert(!plan == !!error);
  for (unsigned i = 0; plan && i < plan->n_tasks; i++) g_assert(plan_max_length(plan, &plan->tasks[i]) >= 1);
  for (unsigned i = 0; plan && i < plan->n_methods; i++) {
    g_autofree char *name = plan_policy_name(&plan->methods[i]);
    g_assert(g_str_has_prefix(name, plan->methods[i].policy));
  }
  return 0;
}
