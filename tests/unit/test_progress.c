/* Numbers for people: counts and durations. */
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
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/progress/durations", test_durations);
  g_test_add_func("/progress/counts", test_counts);
  return g_test_run();
}
