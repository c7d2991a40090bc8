/* A trie over bytes, as arrays. */
#include "engine/text/added.h"

#include <string.h>

typedef struct {
  guint child, sibling; /* places in the array, 0: none */
  int id;               /* of the string that ends here, -1: none does */
  guint8 byte;
} Node;

struct DmsAdded {
  GArray *nodes;     /* the first is the root */
  guint8 first[256]; /* whether a string begins with that byte */
};

static inline Node *node_at(const DmsAdded *added, guint place) {
  return &g_array_index(added->nodes, Node, place);
}

DmsAdded *dms_added_new(void) {
  DmsAdded *added = g_new0(DmsAdded, 1);
  Node root = {.id = -1};
  added->nodes = g_array_new(FALSE, FALSE, sizeof(Node));
  g_array_append_val(added->nodes, root);
  return added;
}

void dms_added_free(DmsAdded *added) {
  if (!added) return;
  g_array_unref(added->nodes);
  g_free(added);
}

/* The child of `parent` for `byte`, 0 when there is none. */
static guint find_child(const DmsAdded *added, guint parent, guint8 byte) {
  guint child = node_at(added, parent)->child;
  while (child && node_at(added, child)->byte != byte) child = node_at(added, child)->sibling;
  return child;
}

gboolean dms_added_add(DmsAdded *added, const char *content, int id) {
  guint place = 0;
  for (const char *c = content; *c; c++) {
    guint child = find_child(added, place, (guint8)*c);
    if (!child) {
      Node node = {.sibling = node_at(added, place)->child, .id = -1, .byte = (guint8)*c};
      child = added->nodes->len;
      g_array_append_val(added->nodes, node);
      node_at(added, place)->child = child;
    }
    place = child;
  }
  if (node_at(added, place)->id >= 0) return FALSE;
  node_at(added, place)->id = id;
  added->first[(guint8)*content] = TRUE;
  return TRUE;
}

int dms_added_find(const DmsAdded *added, const char *content) {
  guint place = 0;
  for (const char *c = content; *c; c++)
    if (!(place = find_child(added, place, (guint8)*c))) return -1;
  return node_at(added, place)->id;
}

gboolean dms_added_search(const DmsAdded *added, const char *text, gsize length, gsize from, gsize *place,
                          gsize *match_length, int *id) {
  for (gsize begin = from; begin < length; begin++) {
    if (!added->first[(guint8)text[begin]]) continue;
    guint node = 0;
    *match_length = 0;
    for (gsize end = begin; end < length && (node = find_child(added, node, (guint8)text[end])); end++) {
      if (node_at(added, node)->id < 0) continue;
      *id = node_at(added, node)->id;
      *match_length = end + 1 - begin;
    }
    if (!*match_length) continue;
    *place = begin;
    return TRUE;
  }
  return FALSE;
}
