/* The version of this program: the tag or commit that it was built from. */
#ifndef HYPERSCALE_VERSION_H
#define HYPERSCALE_VERSION_H

extern const char hyperscale_version[];

#endif
