/* Unpacked tests, shared and counted. */
#include "harness/test_sets.h"

static void test_set_free(gpointer data) {
  TestSet *set = data;
  g_clear_pointer(&set->rows, g_ptr_array_unref);
  g_free(set->tests);
  g_free(set->key);
  g_free(set);
}

GHashTable *test_sets_new(void) {
  return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, test_set_free);
}

TestSet *test_sets_use(GHashTable *sets, Task *task, guint index, GError **error) {
  g_autofree char *key = g_strdup_printf("%s/%u", task_name(task), index);
  TestSet *set = g_hash_table_lookup(sets, key);
  if (!set) {
    GPtrArray *rows = dataset_tests(task->dataset, index, error);
    if (!rows) return NULL;
    set = g_new0(TestSet, 1);
    *set = (TestSet){
        .tests = g_new0(GradeTest, rows->len + 1), .n = rows->len, .rows = rows, .key = g_steal_pointer(&key)};
    for (guint i = 0; i < rows->len; i++) {
      const DatasetTest *row = rows->pdata[i];
      set->tests[i] = (GradeTest){row->input, row->input_length, row->output, row->output_length};
    }
    g_hash_table_insert(sets, set->key, set);
  }
  set->users++;
  return set;
}

void test_sets_release(GHashTable *sets, TestSet *set) {
  if (--set->users == 0) g_hash_table_remove(sets, set->key);
}
