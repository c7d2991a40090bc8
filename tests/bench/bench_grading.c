/* How fast answers in text are graded, and what hostile texts cost.
 *
 *   bench_grading [tests/bench/lens.txt]
 *
 * A text is made of prose up to 170,000 bytes long, as reasoning models write, with an answer at its end. */
#include "grading/grade.h"

#include <string.h>
#include <time.h>

typedef enum { INTEGER, MATH, CHOICE, N_TASKS } Task;
static const char *const task_names[] = {"AIME", "MATH-500", "GPQA"};

static void grade(Task task, const char *text, gsize length, GradeVerdict *verdict) {
  if (task == INTEGER)
    grade_integer(text, length, "204", verdict);
  else if (task == MATH)
    grade_math(text, length, "\\frac{\\sqrt{3}}{3}", verdict);
  else
    grade_choice(text, length, 'C', NULL, 4, "chain", verdict);
}

/* One thread's work: processor time is what it costs, on a busy machine too. */
static double processor_seconds(void) {
  return (double)clock() / CLOCKS_PER_SEC;
}

/* 1,000 texts of `length` bytes of prose and an answer. */
static void bench_texts(const char *prose, gsize prose_length, gsize length) {
  static const char *const answers[] = {"\nSo it is $\\boxed{204}$.", "\nSo it is $\\boxed{\\frac{1}{\\sqrt{3}}}$.",
                                        "\n\nAnswer: C"};
  g_autoptr(GString) text = g_string_new("<think>");
  while (text->len < length) g_string_append_len(text, prose, (gssize)MIN(prose_length, length - text->len));
  g_autoptr(GString) open =
      g_string_new_len(text->str + 7, (gssize)text->len - 7); /* the same without tags: all of it counts */
  g_string_append(text, "</think>");
  for (Task task = 0; task < N_TASKS; task++) {
    double seconds[2];
    for (int i = 0; i < 2; i++) {
      g_autoptr(GString) whole = g_string_new(i == 0 ? text->str : open->str);
      g_string_append(whole, answers[task]);
      double start = processor_seconds();
      for (int n = 0; n < 1000; n++) {
        GradeVerdict verdict;
        grade(task, whole->str, whole->len, &verdict);
        if (verdict.outcome != GRADE_CORRECT) g_error("%s: %s", task_names[task], verdict.detail);
        grade_verdict_clear(&verdict);
      }
      seconds[i] = processor_seconds() - start;
    }
    g_print("%-8s  %6zu bytes: 1,000 texts in %.3f s of processor time; without thinking tags %.3f s\n",
            task_names[task], length, seconds[0], seconds[1]);
  }
}

static void bench_hostile(void) {
  static const struct {
    const char *name, *unit;
  } units[] = {{"\\boxed{ without end", "\\boxed{"},
               {"{", "{"},
               {"}", "}"},
               {"\\boxed{}", "\\boxed{}"},
               {"Answer:", "Answer: "},
               {"Answer: and blanks", "Answer:                    "},
               {"the answer is", "the answer is "},
               {"final answer is", "final answer is x "},
               {"is A", "is A. "},
               {"A", "A "},
               {"AAAA", "A"},
               {"$", "$"},
               {"\\(", "\\( "},
               {"<think>", "<think>"},
               {"<", "<"},
               {"\\", "\\"},
               {"\\boxed{1},", "\\boxed{1},"},
               {"blanks", " "},
               {"newlines", "\n"},
               {"digits", "7"},
               {"1, 2, 3", "1,"}};
  for (guint i = 0; i < G_N_ELEMENTS(units); i++) {
    g_autoptr(GString) text = g_string_new(NULL);
    while (text->len < 10000000) g_string_append(text, units[i].unit);
    g_print("%-20s 10 MB:", units[i].name);
    for (Task task = 0; task < N_TASKS; task++) {
      GradeVerdict verdict;
      double start = processor_seconds();
      grade(task, text->str, text->len, &verdict);
      g_print("  %s %.3f s", task_names[task], processor_seconds() - start);
      grade_verdict_clear(&verdict);
    }
    g_print("\n");
  }
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "tests/bench/lens.txt";
  g_autoptr(GError) error = NULL;
  g_autofree char *prose = NULL;
  gsize length;
  if (!g_file_get_contents(path, &prose, &length, &error)) g_error("%s", error->message);
  bench_texts(prose, length, 4000);
  bench_texts(prose, length, 170000);
  bench_hostile();
  return 0;
}
