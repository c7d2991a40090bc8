/* The prompts, worded as the benchmarks and the model makers word them, to the byte.
 *
 *   open-r1       MATH_QUERY_TEMPLATE and GPQA_QUERY_TEMPLATE of open-r1 and lighteval, as in the DMS paper
 *   qwen          the sentences that QwQ's README asks for; how problem and options stand before them is ours
 *   simple-evals  openai/simple-evals: QUERY_TEMPLATE_MULTICHOICE
 *   lcb-generic   LiveCodeBench's generic chat prompt
 *   lcb-r1        LiveCodeBench's DeepSeek-R1 prompt; its <|User|> and <|Assistant|> marks belong to the chat format
 *   lcb-qwq       the same question without a system turn, as QwQ's evaluation and DeepSeek's advice have it */
#include "datasets/rows.h"

#include <string.h>

#define BOXED "Please reason step by step, and put your final answer within \\boxed{}."

static char *math_qwen(const DatasetProblem *problem) {
  return g_strconcat(problem->question, "\n\n" BOXED, NULL);
}

static char *math_open_r1(const DatasetProblem *problem) {
  return g_strconcat(
      "Solve the following math problem efficiently and clearly.  The last line of your response should be of the "
      "following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope it is correct' (without "
      "quotes) where ANSWER is just the final number or expression that solves the problem. Think step by step "
      "before answering.\n\n",
      problem->question, NULL);
}

/* "{question}\n\nA) ...\nB) ...\nC) ...\nD) ..." */
static char *choices(const char *before, const DatasetProblem *problem, const char *behind) {
  const char *const *option = problem->options;
  return g_strconcat(before, problem->question, "\n\nA) ", option[0], "\nB) ", option[1], "\nC) ", option[2], "\nD) ",
                     option[3], behind, NULL);
}

static char *choice_simple_evals(const DatasetProblem *problem) {
  return choices(
      "Answer the following multiple choice question. The last line of your response should be of the following "
      "format: "
      "'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.\n\n",
      problem, "");
}

static char *choice_qwen(const DatasetProblem *problem) {
  return choices(
      "", problem,
      "\n\nPlease show your choice in the `answer` field with only the choice letter, e.g.,`\"answer\": \"C\"`.");
}

#define STARTER_SENTENCE                                                                                               \
  "You will use the following starter code to write the solution to the problem and enclose your code within "         \
  "delimiters.\n"
#define STDIN_SENTENCE                                                                                                 \
  "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "   \
  "inputs). "                                                                                                          \
  "Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the inputs, "    \
  "runs the "                                                                                                          \
  "algorithm and writes output to STDOUT.\n"

/* The sentence about the format and the fenced starter code that LiveCodeBench's prompts share. */
static char *code_prompt(const char *before, const DatasetProblem *problem, const char *format, const char *behind) {
  const char *starter = problem->starter_code;
  return g_strconcat(before, problem->question, "\n\n", format, starter ? STARTER_SENTENCE : STDIN_SENTENCE,
                     "```python\n", starter ? starter : "# YOUR CODE HERE", "\n```\n\n", behind, NULL);
}

static char *code_generic(const DatasetProblem *problem) {
  return code_prompt("### Question:\n", problem,
                     "### Format: ", "### Answer: (use the provided format with backticks)\n\n");
}

static char *code_reasoning(const DatasetProblem *problem) {
  return code_prompt(
      "You will be given a question (problem specification) and will generate a correct Python program that matches "
      "the specification and passes all tests.\n\nQuestion: ",
      problem, "", "");
}

#define MATH_KINDS (1 << DATASET_INTEGER | 1 << DATASET_MATH)

typedef struct {
  const char *name;
  guint kinds; /* bits 1 << DatasetKind */
  char *(*user)(const DatasetProblem *problem);
  const char *system;
} Style;

/* The first style of a kind is its default. */
static const Style styles[] = {
    {"qwen", MATH_KINDS, math_qwen, NULL},
    {"open-r1", MATH_KINDS, math_open_r1, NULL},
    {"simple-evals", 1 << DATASET_CHOICE, choice_simple_evals, NULL},
    {"open-r1", 1 << DATASET_CHOICE, choice_simple_evals, NULL},
    {"qwen", 1 << DATASET_CHOICE, choice_qwen, NULL},
    {"lcb-generic", 1 << DATASET_CODE, code_generic,
     "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
     "correct Python "
     "program that matches the specification and passes all tests."},
    {"lcb-r1", 1 << DATASET_CODE, code_reasoning,
     "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
     "first thinks "
     "about the reasoning process in the mind and then provides the user with the answer. The reasoning process and "
     "answer are "
     "enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> reasoning process here "
     "</think> "
     "<answer> answer here </answer>."},
    {"lcb-qwq", 1 << DATASET_CODE, code_reasoning, NULL},
};

/* The style called `name` for this kind, the default for NULL; NULL when there is none. */
static const Style *find_style(DatasetKind kind, const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(styles); i++)
    if (styles[i].kinds & 1u << kind && (!name || strcmp(styles[i].name, name) == 0)) return &styles[i];
  return NULL;
}

const char *dataset_default_style(const Dataset *dataset) {
  return find_style(dataset->kind, NULL)->name;
}

gboolean dataset_prompt(const Dataset *dataset, guint index, const char *style_name, DatasetPrompt *prompt,
                        GError **error) {
  *prompt = (DatasetPrompt){0};
  const Style *style = find_style(dataset->kind, style_name);
  if (!style) {
    g_autoptr(GString) names = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(styles); i++)
      if (styles[i].kinds & 1u << dataset->kind)
        g_string_append_printf(names, "%s%s", names->len ? ", " : "", styles[i].name);
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME, "no prompt style \"%.80s\" for %s; there are %s", style_name,
                dataset->task, names->str);
    return FALSE;
  }
  prompt->system = g_strdup(style->system);
  prompt->user = style->user(dataset_problem(dataset, index));
  return TRUE;
}

void dataset_prompt_clear(DatasetPrompt *prompt) {
  g_clear_pointer(&prompt->system, g_free);
  g_clear_pointer(&prompt->user, g_free);
}
