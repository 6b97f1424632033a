#include "base/err.h"

const char *err_name(int err)
{
    static const char *const names[] = {
        "ok",          "syntax",  "too_long", "too_many",  "version",  "framing",
        "unsupported", "range",   "state",    "no_memory", "closed",   "tls",
        "verify",      "timeout", "sys",      "ref",       "checksum",
    };
    const int count = (int)(sizeof(names) / sizeof(names[0]));

    if (err > 0 || err <= -count) {
        return "unknown";
    }
    return names[-err];
}
