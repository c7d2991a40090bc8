/* HTTP transfers by libcurl: several at once, resumed, redirected by hand, tried again.
 *
 * A transfer fetches one URL into a sink. What is retried: connections that fail, break or crawl, 408, 429 and 5xx,
 * with growing, jittered pauses or the server's Retry-After. A transfer goes on from the byte that its sink has.
 * Only https is spoken, and http to a loopback address where the endpoint itself is one; the token goes to the
 * endpoint's own scheme, host and port and nowhere else. */
#ifndef HYPERSCALE_DATASETS_TRANSFER_H
#define HYPERSCALE_DATASETS_TRANSFER_H

#include <glib.h>

typedef struct Transfer Transfer;

/* Where bytes go. `have` is how many it holds; the others return FALSE with an error, which ends the transfer. */
typedef struct {
  guint64 (*have)(gpointer sink);
  gboolean (*write)(gpointer sink, const char *data, gsize length, GError **error);
  gboolean (*restart)(gpointer sink, GError **error); /* drops what it has */
  /* All bytes are there. A DATASET_ERROR_NETWORK, the content being wrong, makes the transfer begin again, once. */
  gboolean (*finish)(gpointer sink, GError **error);
} TransferSink;

struct Transfer {
  const char *url;
  const char *name; /* for messages and progress */
  const char *page; /* where a person sees the repository and accepts its terms; may be NULL */
  guint64 size;     /* bytes that must come; 0: unknown */
  guint64 max;      /* bytes that may come where the size is unknown */
  const TransferSink *sink;
  gpointer sink_data;
  char *next_page; /* out, to be freed: the URL in a Link header's rel="next", or NULL */
};

typedef struct {
  char *endpoint; /* https://HOST[:PORT], or http on a loopback address */
  char *token;    /* NULL: none */
} TransferOrigin;

/* Checks the endpoint. DATASET_ERROR_NETWORK when it is neither https nor http to a loopback address. */
gboolean transfer_origin_check(const TransferOrigin *origin, GError **error);
void transfer_origin_clear(TransferOrigin *origin);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TransferOrigin, transfer_origin_clear)

/* Called about five times a second, and once more at the end: the transfer that moved last, the bytes that came over
 * the wire in this run so far. */
typedef void (*TransferProgress)(const Transfer *current, guint64 received, guint finished, gpointer user_data);

/* Runs all transfers, at most a few at once; the first error stops all. DATASET_ERROR_NETWORK names address and reason
 * and says what to do. */
gboolean transfers_run(Transfer *const *transfers, guint n, const TransferOrigin *origin, TransferProgress progress,
                       gpointer user_data, GError **error);
/* Fetches a URL of at most `max` bytes into memory; `page` and `*next_page` as above, the latter may be NULL. */
GByteArray *transfer_get(const char *url, const char *page, gsize max, const TransferOrigin *origin, char **next_page,
                         GError **error);

#endif
