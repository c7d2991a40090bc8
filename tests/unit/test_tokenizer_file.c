/* tokenizer.json files: the kinds that are implemented, and by name everything that is not, is malformed or is
 * hostile. */
#include "engine/text/tokenizer.h"

#include <jansson.h>
#include <string.h>

/* A tokenizer of a few tokens, ' for ". */
static const char base[] =
    "{'version':'1.0','truncation':null,'padding':null,"
    "'added_tokens':[{'id':9,'content':'<|im_end|>','single_word':false,'lstrip':false,'rstrip':false,"
    "'normalized':false,'special':true}],"
    "'normalizer':{'type':'NFC'},"
    "'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':'Split','pattern':{'Regex':'\\\\s+|\\\\S+'},"
    "'behavior':'Isolated','invert':false},{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':false,"
    "'use_regex':false}]},"
    "'post_processor':null,'decoder':{'type':'ByteLevel','add_prefix_space':true,'use_regex':true},"
    "'model':{'type':'BPE','dropout':null,'unk_token':null,'continuing_subword_prefix':null,'end_of_word_suffix':null,"
    "'fuse_unk':false,'byte_fallback':false,'ignore_merges':false,"
    "'vocab':{'a':0,'b':1,'c':2,'ab':3,'abc':4,'\xc4\xa0':5,'\xc3\x83':6,'\xc2\xa9':7},"
    "'merges':[['a','b'],['ab','c']]}}";

/* The object that `path`, "a.b.0.c", leads to but for its last step, which is `*last`. */
static json_t *walk(json_t *root, const char *path, char **last) {
  g_auto(GStrv) steps = g_strsplit(path, ".", -1);
  int i = 0;
  for (; steps[i + 1]; i++)
    root = json_is_array(root) ? json_array_get(root, (gsize)atoi(steps[i])) : json_object_get(root, steps[i]);
  g_assert_nonnull(root);
  *last = g_strdup(steps[i]);
  return root;
}

/* `base` with the member at `path` set to the JSON `value`; NULL removes it. */
static DmsTokenizer *parse_patched(const char *path, const char *value, GError **error) {
  g_autofree char *base_text = g_strdelimit(g_strdup(base), "'", '"'), *last = NULL;
  g_autofree char *value_text = value ? g_strdelimit(g_strdup(value), "'", '"') : NULL;
  json_t *root = json_loads(base_text, 0, NULL);
  g_assert_nonnull(root);
  if (path) {
    json_t *parent = walk(root, path, &last), *new = value ? json_loads(value_text, JSON_DECODE_ANY, NULL) : NULL;
    g_assert_true(new || !value);
    if (json_is_array(parent))
      json_array_set_new(parent, (gsize)atoi(last), new);
    else if (new)
      json_object_set_new(parent, last, new);
    else
      json_object_del(parent, last);
  }
  char *text = json_dumps(root, 0);
  DmsTokenizer *tokenizer = dms_tokenizer_parse(text, strlen(text), "tokenizer.json", error);
  free(text);
  json_decref(root);
  return tokenizer;
}

static void expect_ids(const char *path, const char *value, const char *text, const char *want) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  g_autoptr(GString) got = g_string_new(NULL);
  DmsTokenizer *tokenizer = parse_patched(path, value, &error);
  g_assert_no_error(error);
  g_assert_true(dms_tokenizer_encode(tokenizer, text, -1, DMS_ENCODE_SPECIAL, ids, &error));
  g_assert_no_error(error);
  for (guint i = 0; i < ids->len; i++) g_string_append_printf(got, i ? " %d" : "%d", g_array_index(ids, int32_t, i));
  g_assert_cmpstr(got->str, ==, want);
  dms_tokenizer_free(tokenizer);
}

static void test_implemented(void) {
  expect_ids(NULL, NULL, "abc cab<|im_end|>", "4 5 2 3 9");
  expect_ids("normalizer", "{'type':'Sequence','normalizers':[{'type':'NFC'}]}", "ae\xcc\x81", "0 6 7"); /* U+00E9 */
  expect_ids("normalizer", "{'type':'Sequence','normalizers':[]}", "abc", "4");
  expect_ids("normalizer", NULL, "abc", "4");
  expect_ids("pre_tokenizer", "{'type':'ByteLevel','add_prefix_space':false}", "ab abc", "3 5 4");
  expect_ids("post_processor", "{'type':'TemplateProcessing','single':[]}", "ab", "3");
  expect_ids("post_processor", "{'type':'Sequence','processors':[{'type':'ByteLevel'},{'type':'TemplateProcessing'}]}",
             "ab", "3");
  expect_ids("model.merges", "['a b']", "abc", "3 2");
}

/* A word that is a token although no merges lead to it. */
static void test_whole_words(void) {
  expect_ids("model.merges", "['a b']", "abc ab", "3 2 5 3");
  expect_ids("model",
             "{'type':'BPE','ignore_merges':true,'vocab':{'a':0,'b':1,'c':2,'abc':4,'\xc4\xa0':5},'merges':[]}",
             "abc ba", "4 5 1 0");
}

/* The added tokens: the longest of those that begin leftmost; normalized ones are found in the normalized text. */
static void test_added(void) {
  static const char tokens[] =
      "[{'id':9,'content':'xy','normalized':false},{'id':10,'content':'xyz','normalized':false},"
      "{'id':11,'content':'\xc3\xa9','normalized':true,'special':true},"
      "{'id':12,'content':'\xe2\x84\xab','normalized':false}]";
  expect_ids("added_tokens", tokens, "xyzxyba", "10 9 1 0");
  expect_ids("added_tokens", tokens, "ae\xcc\x81", "0 11");
  expect_ids("added_tokens", tokens, "a\xe2\x84\xab", "0 12");
  expect_ids("added_tokens", "[]", "ab", "3");
  expect_ids("added_tokens", NULL, "ab", "3");
  expect_ids("added_tokens", "[{'id':4,'content':'abc','normalized':false}]", "abc", "4"); /* in the vocabulary too */
}

static void test_refused(void) {
  static const struct {
    const char *path, *value, *word;
  } bad[] = {
      {"truncation", "{'max_length':512}", "truncation"},
      {"padding", "{'strategy':'BatchLongest'}", "padding"},
      {"normalizer", "{'type':'NFKC'}", "normalizer"},
      {"normalizer", "{'type':'Sequence','normalizers':[{'type':'NFC'},{'type':'Lowercase'}]}", "normalizer"},
      {"normalizer", "5", "normalizer"},
      {"pre_tokenizer", "null", "pre_tokenizer"},
      {"pre_tokenizer", "{'type':'Whitespace'}", "Whitespace"},
      {"pre_tokenizer", "{'type':'ByteLevel','add_prefix_space':true}", "add_prefix_space"},
      {"pre_tokenizer", "{'type':'ByteLevel'}", "add_prefix_space"},
      {"pre_tokenizer", "{'type':'ByteLevel','add_prefix_space':false,'use_regex':false}", "use_regex"},
      {"pre_tokenizer.pretokenizers", "[]", "pretokenizers"},
      {"pre_tokenizer.pretokenizers.0.type", "'Digits'", "pretokenizers"},
      {"pre_tokenizer.pretokenizers.0.pattern", "{'String':' '}", "pattern"},
      {"pre_tokenizer.pretokenizers.0.pattern.Regex", "'(a'", "pattern"},
      {"pre_tokenizer.pretokenizers.0.pattern.Regex", "'\\\\w+'", "\\w"},
      {"pre_tokenizer.pretokenizers.0.pattern.Regex", "'a*'", "empty"},
      {"pre_tokenizer.pretokenizers.0.behavior", "'Removed'", "behavior"},
      {"pre_tokenizer.pretokenizers.0.invert", "true", "invert"},
      {"pre_tokenizer.pretokenizers.1.use_regex", "true", "use_regex"},
      {"pre_tokenizer.pretokenizers.1.type", "'Metaspace'", "Metaspace"},
      {"post_processor", "{'type':'BertProcessing'}", "post_processor"},
      {"post_processor", "{'type':'Sequence','processors':[{'type':'Sequence'}]}", "post_processor"},
      {"decoder", "null", "decoder"},
      {"decoder", "{'type':'WordPiece'}", "decoder"},
      {"model", "null", "model"},
      {"model.type", "'Unigram'", "Unigram"},
      {"model.type", NULL, "model.type"},
      {"model.dropout", "0.1", "dropout"},
      {"model.unk_token", "'<unk>'", "unk_token"},
      {"model.continuing_subword_prefix", "'##'", "continuing_subword_prefix"},
      {"model.end_of_word_suffix", "'</w>'", "end_of_word_suffix"},
      {"model.byte_fallback", "true", "byte_fallback"},
      {"model.ignore_merges", "1", "ignore_merges"},
      {"model.vocab", "[]", "model.vocab"},
      {"model.vocab.a", "-1", "model.vocab.a"},
      {"model.vocab.a", "4194304", "model.vocab.a"},
      {"model.vocab.a", "9223372036854775807", "model.vocab.a"},
      {"model.vocab.a", "0.0", "model.vocab.a"},
      {"model.vocab.a", "1", "another token"},
      {"model.merges", "null", "model.merges"},
      {"model.merges", "['a b','b x']", "merges[1]"},
      {"model.merges", "['a b','b c']", "merges[1]"},
      {"model.merges", "['a b','a b']", "twice"},
      {"model.merges", "['ab']", "merges[0]"},
      {"model.merges", "['a b c']", "merges[0]"},
      {"model.merges", "[['a']]", "merges[0]"},
      {"model.merges", "[['a','b','c']]", "merges[0]"},
      {"model.merges", "[['a',1]]", "merges[0]"},
      {"model.merges", "[7]", "merges[0]"},
      {"model.merges", "[['','a']]", "merges[0]"},
      {"added_tokens", "{}", "added_tokens"},
      {"added_tokens.0", "'x'", "added_tokens"},
      {"added_tokens.0.id", "-5", "added_tokens"},
      {"added_tokens.0.id", "1e3", "added_tokens"},
      {"added_tokens.0.id", "0", "added_tokens[0].id"},
      {"added_tokens.0.content", "''", "added_tokens[0].content"},
      {"added_tokens.0.content", "'abc'", "added_tokens[0].id"},
      {"added_tokens.0.content", NULL, "added_tokens[0].content"},
      {"added_tokens.0.single_word", "true", "single_word"},
      {"added_tokens.0.lstrip", "true", "lstrip"},
      {"added_tokens.0.rstrip", "true", "rstrip"},
      {"added_tokens.0.special", "'yes'", "special"},
      {"added_tokens", "[{'id':9,'content':'x'},{'id':10,'content':'x'}]", "added_tokens[1]"},
      {"added_tokens", "[{'id':9,'content':'x'},{'id':9,'content':'y'}]", "added_tokens[1].id"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    if (parse_patched(bad[i].path, bad[i].value, &error)) g_error("%s = %s", bad[i].path, bad[i].value);
    g_assert_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER);
    if (!strstr(error->message, bad[i].word) || !strstr(error->message, "tokenizer.json"))
      g_error("\"%s\" lacks \"%s\"", error->message, bad[i].word);
  }
}

/* The two tables are read by hand: what is no JSON there is refused as it would be anywhere else. */
static void test_tables(void) {
  static const struct {
    const char *vocab, *merges, *word; /* NULL: it opens */
  } cases[] = {
      {"{'a' : 0 , 'b':1,\n\t'ab':2}", "[ [ 'a' , 'b' ] ]", NULL},
      {"{'a':0,'\\u0062':1,'\\u0061b':2}", "['a \\u0062']", NULL},
      {"{'\xe6\x97\xa5':0,'':1,'a':2}", "[]", NULL}, /* a token outside the byte-level alphabet, and none at all */
      {"{'a':0,'a':1}", "[]", "another token"},
      {"{'\xe6\x97\xa5':0,'\xe6\x97\xa5':1}", "[]", "another token"},
      {"{'':0,'':1}", "[]", "another token"},
      {"{'\xe6\x97':0}", "[]", "UTF-8"},
      {"{'a':0,}", "[]", "line 1"},
      {"{'a':00}", "[]", "model.vocab.a"},
      {"{'a':0 0}", "[]", "line 1"},
      {"{'a':'\n'}", "[]", "model.vocab.a"},
      {"{'a\n':0}", "[]", "line 1"},
      {"{'a\\u0000':0}", "[]", "line 1"},
      {"{'a\\':0}", "[]", "line 1"},
      {"{'a':0", "[]", "model.vocab.merges"},
      {"{'a':0}}", "[]", "line 1"},
      {"{'a':0},'vocab':{}", "[]", "duplicate"},
      {"{'a':0}", "[],'merges':[]", "duplicate"},
      {"{'a':0}", "[,]", "merges[0]"},
      {"{'a':0}", "[['a','a'],]", "merges[1]"},
      {"{'a':0}", "[['a' 'a']]", "merges[0]"},
      {"{'a':0}", "['a a'", "line 1"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    static const char frame[] = "{'added_tokens':[],'pre_tokenizer':{'type':'ByteLevel','add_prefix_space':false},"
                                "'decoder':{'type':'ByteLevel'},'model':{'type':'BPE','vocab':%s,'merges':%s}}";
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdelimit(g_strdup_printf(frame, cases[i].vocab, cases[i].merges), "'", '"');
    DmsTokenizer *tokenizer = dms_tokenizer_parse(text, strlen(text), "tokenizer.json", &error);
    if (!tokenizer != !!cases[i].word || (error && !strstr(error->message, cases[i].word)))
      g_error("%s %s: %s", cases[i].vocab, cases[i].merges, error ? error->message : "opened");
    dms_tokenizer_free(tokenizer);
  }
}

/* Tokens of absurd length, with JSON of absurd depth, and no file at all. */
static void test_absurd(void) {
  g_autofree char *long_token = g_strnfill(10000000, 'a'), *deep = g_strnfill(1000000, '[');
  g_autofree char *vocab = g_strdup_printf("{'%s':0}", long_token);
  g_autofree char *content = g_strdup_printf("'%.300s'", long_token);
  g_autoptr(GError) error = NULL;
  g_assert_null(parse_patched("model.vocab", vocab, &error));
  g_assert_nonnull(strstr(error->message, "65535 bytes"));
  g_assert_cmpuint(strlen(error->message), <, 300);
  g_clear_error(&error);
  g_assert_null(parse_patched("added_tokens.0.content", content, &error));
  g_assert_nonnull(strstr(error->message, "256 bytes"));
  g_clear_error(&error);
  g_assert_null(dms_tokenizer_parse(deep, strlen(deep), "tokenizer.json", &error));
  g_assert_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER);
  g_clear_error(&error);
  g_assert_null(dms_tokenizer_open("/no/such/folder", &error));
  g_assert_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER);
  g_assert_nonnull(strstr(error->message, "/no/such/folder/tokenizer.json"));
}

/* A text with a byte that the vocabulary lacks cannot be encoded: an error, nothing left out. */
static void test_missing_bytes(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  DmsTokenizer *tokenizer = parse_patched(NULL, NULL, &error);
  g_assert_false(dms_tokenizer_encode(tokenizer, "abc z", -1, DMS_ENCODE_TEXT, ids, &error));
  g_assert_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER);
  g_assert_nonnull(strstr(error->message, "0x7a"));
  g_assert_cmpuint(ids->len, ==, 0);
  dms_tokenizer_free(tokenizer);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tokenizer-file/implemented", test_implemented);
  g_test_add_func("/tokenizer-file/whole-words", test_whole_words);
  g_test_add_func("/tokenizer-file/added", test_added);
  g_test_add_func("/tokenizer-file/refused", test_refused);
  g_test_add_func("/tokenizer-file/tables", test_tables);
  g_test_add_func("/tokenizer-file/absurd", test_absurd);
  g_test_add_func("/tokenizer-file/missing-bytes", test_missing_bytes);
  return g_test_run();
}
