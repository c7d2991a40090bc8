/* Walks the events of a YAML text beside libcyaml's schema. */
#include "harness/plan_syntax.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "harness/plan.h"
#include "harness/suggest.h"

enum { MAX_DEPTH = 8 /* more than any schema of a plan has */ };

/* A mapping or sequence that has begun. */
typedef struct {
  const cyaml_schema_value_t *schema;
  const char *name;                  /* the key that it stands under */
  const char *entry_of;              /* what messages say before the name: "an entry of ", or "" */
  const cyaml_schema_field_t *field; /* of a mapping: the key whose value is next, or NULL where a key is */
  uint64_t seen;                     /* of a mapping: bit i for its field i */
  unsigned entries;                  /* of a sequence: so far */
  yaml_mark_t mark;
} Level;

typedef struct {
  const char *file;
  const cyaml_schema_value_t *root;
  Level levels[MAX_DEPTH];
  int depth, documents;
  GError **error;
} Walk;

static gboolean refuse(const Walk *walk, yaml_mark_t mark, const char *format, ...) G_GNUC_PRINTF(3, 4);
static gboolean refuse(const Walk *walk, yaml_mark_t mark, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *what = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(walk->error, PLAN_ERROR, PLAN_ERROR_VALUE, "%s: line %zu, column %zu: %s", walk->file, mark.line + 1,
              mark.column + 1, what);
  return FALSE;
}

/* The keys of a mapping, or only those that it cannot do without. */
static GPtrArray *list_keys(const cyaml_schema_value_t *mapping, gboolean needed) {
  GPtrArray *keys = g_ptr_array_new();
  for (const cyaml_schema_field_t *field = mapping->mapping.fields; field->key; field++)
    if (!needed || !(field->value.flags & CYAML_FLAG_OPTIONAL)) g_ptr_array_add(keys, (char *)field->key);
  g_ptr_array_add(keys, NULL);
  return keys;
}

static gboolean check_key(const Walk *walk, Level *level, const yaml_event_t *event) {
  const cyaml_schema_field_t *fields = level->schema->mapping.fields, *field = fields;
  if (event->type != YAML_SCALAR_EVENT) return refuse(walk, event->start_mark, "a key is a word, not a list");
  const char *key = (const char *)event->data.scalar.value;
  while (field->key && !g_str_equal(field->key, key)) field++;
  if (!field->key) {
    g_autoptr(GPtrArray) keys = list_keys(level->schema, FALSE);
    g_autofree char *hint = suggest(key, (const char *const *)keys->pdata);
    g_autofree char *allowed = g_strjoinv(", ", (char **)keys->pdata);
    return refuse(walk, event->start_mark, "no key \"%.80s\"%s%s", key,
                  *hint ? hint : "; allowed: ", *hint ? "" : allowed);
  }
  uint64_t bit = 1ull << (field - fields);
  if (level->seen & bit) return refuse(walk, event->start_mark, "%s stands twice; leave one", key);
  level->seen |= bit;
  level->field = field;
  return TRUE;
}

/* Whether `text` is a number as JSON writes it. */
static gboolean is_number(const char *text, enum cyaml_type type) {
  static const char digits[] = "0123456789";
  const char *at = text + (type == CYAML_FLOAT && *text == '-');
  gsize whole = strspn(at, digits);
  char *end;
  if (whole == 0 || (whole > 1 && *at == '0')) return FALSE;
  if (type == CYAML_FLOAT) {
    g_ascii_strtod(text, &end);
    return *end == '\0' && !strpbrk(text, "xX");
  }
  return g_ascii_string_to_unsigned(text, 10, 0, type == CYAML_UINT ? G_MAXUINT64 : G_MAXINT, NULL, NULL);
}

static gboolean check_scalar(const Walk *walk, const cyaml_schema_value_t *wanted, const char *name,
                             const yaml_event_t *event) {
  const char *text = (const char *)event->data.scalar.value;
  gsize length = event->data.scalar.length;
  if (wanted->type == CYAML_STRING) {
    if (length >= wanted->string.min && length <= wanted->string.max) return TRUE;
    return refuse(walk, event->start_mark, "%s has %zu bytes; allowed: %u to %u", name, length, wanted->string.min,
                  wanted->string.max);
  }
  if (is_number(text, wanted->type)) return TRUE;
  return refuse(walk, event->start_mark, "%s is '%.80s'; allowed: %s", name, text,
                wanted->type == CYAML_FLOAT  ? "a number"
                : wanted->type == CYAML_UINT ? "a whole number, 0 or more, of 64 bits"
                                             : "a whole number, 0 or more, at most 2147483647");
}

static enum cyaml_type shape_of(const yaml_event_t *event) {
  return event->type == YAML_MAPPING_START_EVENT    ? CYAML_MAPPING
         : event->type == YAML_SEQUENCE_START_EVENT ? CYAML_SEQUENCE
                                                    : CYAML_STRING;
}

static const char *describe(enum cyaml_type type) {
  return type == CYAML_MAPPING    ? "keys with values, {key: value, ...}"
         : type == CYAML_SEQUENCE ? "a list, [a, b, ...]"
                                  : "one value";
}

static gboolean check_value(Walk *walk, const cyaml_schema_value_t *wanted, const char *entry_of, const char *name,
                            const yaml_event_t *event) {
  if (event->type == YAML_ALIAS_EVENT) return refuse(walk, event->start_mark, "an alias: write out what it stands for");
  gboolean nested = wanted->type == CYAML_MAPPING || wanted->type == CYAML_SEQUENCE;
  enum cyaml_type allowed = nested ? wanted->type : CYAML_STRING, found = shape_of(event);
  gboolean empty = event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0;
  if (found != allowed)
    return refuse(walk, event->start_mark, "%s%s is %s; allowed: %s", entry_of, name, empty ? "empty" : describe(found),
                  describe(allowed));
  if (!nested) return check_scalar(walk, wanted, name, event);
  walk->levels[walk->depth++] =
      (Level){.schema = wanted, .name = name, .entry_of = entry_of, .mark = event->start_mark};
  return TRUE;
}

/* A key, a key's value, an entry of a list, or the plan. */
static gboolean check_node(Walk *walk, const yaml_event_t *event) {
  Level *level = walk->depth ? &walk->levels[walk->depth - 1] : NULL;
  if (!level) return check_value(walk, walk->root, "", "a plan", event);
  if (level->schema->type == CYAML_SEQUENCE) {
    level->entries++;
    return check_value(walk, level->schema->sequence.entry, "an entry of ", level->name, event);
  }
  if (!level->field) return check_key(walk, level, event);
  const cyaml_schema_field_t *field = level->field;
  level->field = NULL;
  return check_value(walk, &field->value, "", field->key, event);
}

static gboolean check_end(Walk *walk) {
  const Level *level = &walk->levels[--walk->depth];
  const cyaml_schema_value_t *schema = level->schema;
  if (schema->type == CYAML_SEQUENCE) {
    if (level->entries >= schema->sequence.min && level->entries <= schema->sequence.max) return TRUE;
    return refuse(walk, level->mark, "%s has %u entries; allowed: %u to %u", level->name, level->entries,
                  schema->sequence.min, schema->sequence.max);
  }
  const cyaml_schema_field_t *fields = schema->mapping.fields;
  for (int i = 0; fields[i].key; i++) {
    if ((fields[i].value.flags & CYAML_FLAG_OPTIONAL) || (level->seen >> i & 1)) continue;
    g_autoptr(GPtrArray) needed = list_keys(schema, TRUE);
    g_autofree char *list = g_strjoinv(", ", (char **)needed->pdata);
    return refuse(walk, level->mark, "%s%s has no %s; needed: %s", level->entry_of, level->name, fields[i].key, list);
  }
  return TRUE;
}

static gboolean check_event(Walk *walk, const yaml_event_t *event) {
  switch (event->type) {
  case YAML_DOCUMENT_START_EVENT:
    return ++walk->documents == 1 ||
           refuse(walk, event->start_mark, "a second document, which would not be read; remove it or its ---");
  case YAML_ALIAS_EVENT:
  case YAML_SCALAR_EVENT:
  case YAML_SEQUENCE_START_EVENT:
  case YAML_MAPPING_START_EVENT:
    return check_node(walk, event);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    return check_end(walk);
  case YAML_STREAM_END_EVENT:
    return walk->documents > 0 || refuse(walk, event->start_mark, "no plan: the file is empty");
  default:
    return TRUE;
  }
}

/* The reader, which decodes UTF-8, knows only the byte where it failed. */
static yaml_mark_t problem_mark(const yaml_parser_t *parser, const char *text) {
  yaml_mark_t mark = parser->problem_mark;
  if (parser->error != YAML_READER_ERROR) return mark;
  mark.line = mark.column = 0;
  for (size_t i = 0; i < parser->problem_offset && text[i]; i++) {
    mark.column = text[i] == '\n' ? 0 : mark.column + 1;
    mark.line += text[i] == '\n';
  }
  return mark;
}

gboolean plan_syntax_check(const char *file, const char *text, const cyaml_schema_value_t *schema, GError **error) {
  Walk walk = {.file = file, .root = schema, .error = error};
  yaml_parser_t parser;
  gboolean ok = TRUE, ended = FALSE;
  yaml_parser_initialize(&parser);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
  while (ok && !ended) {
    yaml_event_t event;
    if (yaml_parser_parse(&parser, &event)) {
      ok = check_event(&walk, &event);
      ended = event.type == YAML_STREAM_END_EVENT;
      yaml_event_delete(&event);
    } else {
      ok = refuse(&walk, problem_mark(&parser, text), "no YAML: %s", parser.problem ? parser.problem : "unreadable");
    }
  }
  yaml_parser_delete(&parser);
  return ok;
}
