/* Every prompt style, to the byte. */
#include "tests/unit/dataset_text.h"

static Dataset *open_rows(const char *task, const char *text) {
  g_autoptr(GError) error = NULL;
  Dataset *dataset = open_text(task, task, text, &error);
  g_assert_no_error(error);
  return dataset;
}

static void assert_prompt(Dataset *dataset, guint index, const char *style, const char *system, const char *user) {
  g_autoptr(GError) error = NULL;
  g_auto(DatasetPrompt) prompt;
  g_assert_true(dataset_prompt(dataset, index, style, &prompt, &error));
  g_assert_cmpstr(prompt.system, ==, system);
  g_assert_cmpstr(prompt.user, ==, user);
}

static void assert_refused(Dataset *dataset, const char *style, const char *expected) {
  g_autoptr(GError) error = NULL;
  g_auto(DatasetPrompt) prompt;
  g_assert_false(dataset_prompt(dataset, 0, style, &prompt, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_NAME);
  g_assert_cmpstr(error->message, ==, expected);
}

static void test_math(void) {
  g_autoptr(Dataset) dataset = open_rows("math500", "{\"problem\": \"What is $1+1$?\", \"answer\": \"2\"}");
  g_assert_cmpstr(dataset_default_style(dataset), ==, "qwen");
  const char *qwen = "What is $1+1$?\n\nPlease reason step by step, and put your final answer within \\boxed{}.";
  assert_prompt(dataset, 0, NULL, NULL, qwen);
  assert_prompt(dataset, 0, "qwen", NULL, qwen);
  assert_prompt(
      dataset, 0, "open-r1", NULL,
      "Solve the following math problem efficiently and clearly.  The last line of your response should be of the "
      "following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope it is correct' (without quotes) "
      "where "
      "ANSWER is just the final number or expression that solves the problem. Think step by step before answering.\n\n"
      "What is $1+1$?");
  assert_refused(dataset, "simple-evals", "no prompt style \"simple-evals\" for math500; there are qwen, open-r1");
}

static void test_choice(void) {
  g_autoptr(Dataset) dataset = open_rows(
      "gpqa-diamond", "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,Record ID\n"
                      "\"Which?\n\", one , two,three,four,rec\n");
  const DatasetProblem *problem = dataset_problem(dataset, 0);
  const char *const *option = problem->options;
  g_autofree char *shown =
      g_strdup_printf("Which?\n\n\nA) %s\nB) %s\nC) %s\nD) %s", option[0], option[1], option[2], option[3]);
  g_autofree char *simple =
      g_strconcat("Answer the following multiple choice question. The last line of your response should be of the "
                  "following format: 'Answer: "
                  "$LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.\n\n",
                  shown, NULL);
  g_autofree char *qwen = g_strconcat(
      shown, "\n\nPlease show your choice in the `answer` field with only the choice letter, e.g.,`\"answer\": \"C\"`.",
      NULL);
  g_assert_cmpstr(dataset_default_style(dataset), ==, "simple-evals");
  assert_prompt(dataset, 0, NULL, NULL, simple);
  assert_prompt(dataset, 0, "simple-evals", NULL, simple);
  assert_prompt(dataset, 0, "open-r1", NULL, simple);
  assert_prompt(dataset, 0, "qwen", NULL, qwen);
  assert_refused(dataset, "lcb-r1",
                 "no prompt style \"lcb-r1\" for gpqa-diamond; there are simple-evals, open-r1, qwen");
}

#define CODE_ROW(id, starter, metadata)                                                                                \
  "{\"question_id\": \"" id                                                                                            \
  "\", \"question_content\": \"Do it.\", \"contest_date\": \"2024-08-03T00:00:00\", \"starter_code\": \"" starter      \
  "\", \"public_test_cases\": \"[]\", \"private_test_cases\": \"[]\", \"metadata\": \"" metadata "\"}\n"

#define STDIN_FORMAT                                                                                                   \
  "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "   \
  "inputs). Enclose "                                                                                                  \
  "your code within delimiters as follows. Ensure that when the python program runs, it reads the inputs, runs the "   \
  "algorithm and "                                                                                                     \
  "writes output to STDOUT.\n```python\n# YOUR CODE HERE\n```\n\n"
#define STARTER_FORMAT                                                                                                 \
  "You will use the following starter code to write the solution to the problem and enclose your code within "         \
  "delimiters.\n"                                                                                                      \
  "```python\nclass Solution:\n    def f(self):\n        \n```\n\n"
#define GENERIC_SYSTEM                                                                                                 \
  "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "     \
  "correct Python "                                                                                                    \
  "program that matches the specification and passes all tests."
#define R1_SYSTEM                                                                                                      \
  "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "   \
  "first thinks "                                                                                                      \
  "about the reasoning process in the mind and then provides the user with the answer. The reasoning process and "     \
  "answer are "                                                                                                        \
  "enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> reasoning process here "  \
  "</think> "                                                                                                          \
  "<answer> answer here </answer>."
#define REASONING                                                                                                      \
  "You will be given a question (problem specification) and will generate a correct Python program that matches the "  \
  "specification "                                                                                                     \
  "and passes all tests.\n\nQuestion: Do it.\n\n"

static void test_code(void) {
  g_autoptr(Dataset) dataset =
      open_rows("livecodebench", CODE_ROW("a", "", "{}") CODE_ROW("b", "class Solution:\\n    def f(self):\\n        ",
                                                                  "{\\\"func_name\\\": \\\"f\\\"}"));
  const char *end = "### Answer: (use the provided format with backticks)\n\n";
  g_autofree char *plain = g_strconcat("### Question:\nDo it.\n\n### Format: " STDIN_FORMAT, end, NULL);
  g_autofree char *starter = g_strconcat("### Question:\nDo it.\n\n### Format: " STARTER_FORMAT, end, NULL);
  g_assert_cmpstr(dataset_default_style(dataset), ==, "lcb-generic");
  assert_prompt(dataset, 0, NULL, GENERIC_SYSTEM, plain);
  assert_prompt(dataset, 1, "lcb-generic", GENERIC_SYSTEM, starter);
  assert_prompt(dataset, 0, "lcb-r1", R1_SYSTEM, REASONING STDIN_FORMAT);
  assert_prompt(dataset, 1, "lcb-r1", R1_SYSTEM, REASONING STARTER_FORMAT);
  assert_prompt(dataset, 0, "lcb-qwq", NULL, REASONING STDIN_FORMAT);
  assert_prompt(dataset, 1, "lcb-qwq", NULL, REASONING STARTER_FORMAT);
  assert_refused(dataset, "qwen", "no prompt style \"qwen\" for livecodebench; there are lcb-generic, lcb-r1, lcb-qwq");
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  scratch_make();
  g_test_add_func("/prompts/math", test_math);
  g_test_add_func("/prompts/choice", test_choice);
  g_test_add_func("/prompts/code", test_code);
  int status = g_test_run();
  scratch_remove();
  return status;
}
