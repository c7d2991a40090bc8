/* livecodebench[@release_vN|@release_latest|@vN|@vA_vB][:FROM..TO] */
#include "datasets/livecodebench.h"

#include "datasets/dataset.h"

#include <stdio.h>
#include <string.h>

const char *lcb_file_name(guint version) {
  static const char *const names[LIVECODEBENCH_FILES] = {"test.jsonl",  "test2.jsonl", "test3.jsonl",
                                                         "test4.jsonl", "test5.jsonl", "test6.jsonl"};
  return names[version - 1];
}

/* One version digit behind `prefix`; 0 when `text` does not begin so. */
static guint parse_version(const char **text, const char *prefix) {
  if (!g_str_has_prefix(*text, prefix)) return 0;
  const char *digit = *text + strlen(prefix);
  if (*digit < '1' || *digit > '0' + LIVECODEBENCH_FILES) return 0;
  *text = digit + 1;
  return (guint)(*digit - '0');
}

static gboolean parse_versions(const char *text, LcbSelection *selection) {
  selection->named = TRUE;
  if (strcmp(text, "release_latest") == 0) return TRUE;
  guint version = parse_version(&text, "release_v");
  if (version) {
    selection->last = version;
    return *text == '\0';
  }
  selection->first = selection->last = parse_version(&text, "v");
  if (selection->first && *text) selection->last = parse_version(&text, "_v");
  return *text == '\0' && selection->first >= 1 && selection->last >= selection->first;
}

static gboolean parse_date(const char *text, gsize length, char date[11]) {
  if (length == 0) return TRUE;
  int year, month, day, end = 0;
  if (length != 10) return FALSE;
  memcpy(date, text, 10);
  return sscanf(date, "%4d-%2d-%2d%n", &year, &month, &day, &end) == 3 && end == 10 &&
         strspn(date, "0123456789-") == 10 && g_date_valid_dmy((GDateDay)day, (GDateMonth)month, (GDateYear)year);
}

gboolean lcb_selection_parse(const char *suffix, LcbSelection *selection, GError **error) {
  *selection = (LcbSelection){.first = 1, .last = LIVECODEBENCH_FILES};
  const char *window = strchr(suffix, ':');
  g_autofree char *versions = window ? g_strndup(suffix, (gsize)(window - suffix)) : g_strdup(suffix);
  if (*versions && (*versions != '@' || !parse_versions(versions + 1, selection))) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME,
                "no LiveCodeBench release \"%s\"; there are @release_v1 to @release_v%d (versions 1 to N), "
                "@release_latest, @v1 to @v%d (one version) and @vA_vB",
                versions, LIVECODEBENCH_FILES, LIVECODEBENCH_FILES);
    return FALSE;
  }
  if (!window) return TRUE;
  const char *dots = strstr(++window, "..");
  if (!dots || !parse_date(window, (gsize)(dots - window), selection->from) ||
      !parse_date(dots + 2, strlen(dots + 2), selection->to)) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME,
                "\"%s\" is no window of dates; expected FROM..TO, as in 2024-08-01..2025-01-31", window);
    return FALSE;
  }
  if (*selection->from && *selection->to && strcmp(selection->from, selection->to) > 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME, "the window of dates \"%s\" ends before it begins", window);
    return FALSE;
  }
  return TRUE;
}

gboolean lcb_selection_has_date(const LcbSelection *selection, const char *contest_date) {
  return (!*selection->from || strncmp(contest_date, selection->from, 10) >= 0) &&
         (!*selection->to || strncmp(contest_date, selection->to, 10) <= 0);
}
