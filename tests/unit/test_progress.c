/* Numbers for people: counts, durations, and what is left of a run. */
#include "harness/progress.h"

static void test_numbers(void) {
  static const struct {
    void (*format)(double value, char *text, gsize size);
    double value;
    const char *text;
  } cases[] = {{format_duration, 0, "0s"},
               {format_duration, 59.4, "59s"},
               {format_duration, 59.6, "1m 00s"},
               {format_duration, 185, "3m 05s"},
               {format_duration, 3600, "1h 00m"},
               {format_duration, 25920, "7h 12m"},
               {format_duration, 3e9, "833333h 20m"},
               {format_duration, 1e300, "277777777h 46m"},
               {format_count, 0, "0"},
               {format_count, 7, "7"},
               {format_count, 7.25, "7.25"},
               {format_count, 999, "999"},
               {format_count, 999.6, "1.00 K"},
               {format_count, 12345, "12.3 K"},
               {format_count, 4.56e6, "4.56 M"},
               {format_count, 2e21, "2000000 P"},
               {format_bytes, 512, "512 B"},
               {format_bytes, 4.56e6, "4.56 MB"}};
  char text[16];
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    cases[i].format(cases[i].value, text, sizeof text);
    g_assert_cmpstr(text, ==, cases[i].text);
  }
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
  g_test_add_func("/progress/numbers", test_numbers);
  g_test_add_func("/progress/resumed", test_resumed);
  return g_test_run();
}
