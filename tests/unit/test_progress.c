/* Numbers for people: counts, durations, and what is left of a run. */
#include "harness/progress.h"

static void test_durations(void) {
  static const struct {
    double seconds;
    const char *text;
  } cases[] = {{0, "0s"},        {59.4, "59s"},     {59.6, "1m 00s"},     {185, "3m 05s"},
               {3600, "1h 00m"}, {25920, "7h 12m"}, {3e9, "833333h 20m"}, {1e300, "277777777h 46m"}};
  char text[16];
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    format_duration(cases[i].seconds, text, sizeof text);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
}

static void test_counts(void) {
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0, "0"},          {7, "7"},          {7.25, "7.25"},     {999, "999"},
               {999.6, "1.00 K"}, {12345, "12.3 K"}, {4.56e6, "4.56 M"}, {2e21, "2000000 P"}};
  char text[16];
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    format_count(cases[i].value, text, sizeof text);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
  format_bytes(512, text, sizeof text);
  g_assert_cmpstr(text, ==, "512 B");
  format_bytes(4.56e6, text, sizeof text);
  g_assert_cmpstr(text, ==, "4.56 MB");
}

/* Told from what has been run, not from what the store had. */
static void test_resumed(void) {
  if (g_test_subprocess()) {
    Progress progress;
    progress_begin(&progress, FALSE);
    progress.started -= 100 * G_USEC_PER_SEC;
    progress.shown -= 100 * G_USEC_PER_SEC;
    progress.threads_total = 1000;
    progress.threads_done = 900;
    progress.threads_reused = 850;
    progress.tokens = 5000;
    progress_show(&progress);
    progress_end(&progress);
    return;
  }
  g_test_trap_subprocess(NULL, 0, 0);
  g_test_trap_assert_passed();
  g_test_trap_assert_stderr("*threads 900/1000*ETA 3m 20s*");
  g_test_trap_assert_stderr("*50 threads, 5.00 K tokens in 1m 40s (50.0 tok/s); 850 threads were there already*");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/progress/durations", test_durations);
  g_test_add_func("/progress/counts", test_counts);
  g_test_add_func("/progress/resumed", test_resumed);
  return g_test_run();
}
