/* The hostile inputs of Tests/Vectors/http-cases.json as far as the codec decides about them. What
 * a case expects of a whole proxy becomes what the codec has to say about its bytes. */
#include <string.h>

#include "base/err.h"
#include "cunit.h"
#include "wire/h1.h"
#include "wire/h1body.h"
#include "wire/uri.h"

struct http_case {
    const char *id;
    const char *expect;
    const char *method; /* of the request, for responses */
    size_t len;
    const char *bytes;
};

#include "http_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How a run over all bytes of a case ends. */
struct outcome {
    uint32_t complete; /* messages */
    int err;           /* that ended the run, or MESH_OK */
    bool partial;      /* the bytes end within a message */
    bool alias;        /* a field of the first head is an alias */
    bool bad_trailer;  /* a trailer that must not be merged was seen */
    uint8_t flags;     /* of the first head */
    uint8_t framing;   /* of the first head */
    uint8_t method;    /* of the first head */
};

/* A trailer line in one piece, as these inputs have it. */
static int take_trailer(const struct h1body_step *step, struct outcome *outcome)
{
    struct bytes name;
    struct bytes value;
    int err = h1body_check_trailer(step->out, &name, &value);

    if (err == MESH_OK && hdr_is_forbidden_trailer(hdr_find(name), name)) {
        outcome->bad_trailer = true;
    }
    return err;
}

/* Reads the body at the start of `in`; bytes of it, or an error. */
static int64_t take_body(const struct h1_head *head, struct bytes in, struct outcome *outcome)
{
    struct h1body body;
    size_t at = 0;

    h1body_start(&body, (enum h1_framing)head->framing, head->content_length);
    for (;;) {
        struct h1body_step step;
        int64_t taken = h1body_next(&body, bytes_from(in, at), &step);

        if (taken < 0) {
            return taken;
        }
        at += (size_t)taken;
        if (step.kind == H1BODY_FIELD && take_trailer(&step, outcome) != MESH_OK) {
            return MESH_E_SYNTAX;
        }
        if (step.kind == H1BODY_END || (at == in.len && h1body_may_end(&body))) {
            return (int64_t)at;
        }
        if (step.kind == H1BODY_MORE && at == in.len) {
            outcome->partial = true;
            return (int64_t)at;
        }
    }
}

/* A normal form has to exist for the path, too. */
static int check_path(const struct bytes in, const struct h1_head *head)
{
    uint8_t out[H1_MAX_TARGET];
    bool changed;

    if (head->path.len == 0) {
        return MESH_OK;
    }
    return uri_normal_path(h1_slice(in.ptr, head->path), out, &changed) > 0 ? MESH_OK
                                                                            : MESH_E_SYNTAX;
}

static void note_head(const struct h1_head *head, struct outcome *outcome)
{
    if (outcome->complete > 0) {
        return;
    }
    outcome->flags = head->flags;
    outcome->framing = head->framing;
    outcome->method = head->method;
    for (uint32_t i = 0; i < head->field_count; i++) {
        outcome->alias |= (head->fields[i].flags & H1_FIELD_ALIAS) != 0;
    }
}

/* All messages in `in`, as a connection would read them. */
static struct outcome run(struct bytes in, const char *response_to)
{
    struct outcome outcome = {0};
    bool is_request = response_to == NULL;

    while (in.len > 0 && !outcome.partial) {
        struct h1_head head;
        int length = is_request
                         ? h1_parse_request(in, &head)
                         : h1_parse_response(in, h1_method_of(cunit_text(response_to)), &head);
        int64_t body;

        if (length > 0 && is_request && check_path(in, &head) != MESH_OK) {
            length = MESH_E_SYNTAX;
        }
        if (length <= 0) {
            outcome.err = length;
            outcome.partial = length == 0;
            break;
        }
        note_head(&head, &outcome);
        in = bytes_from(in, (size_t)length);
        body = take_body(&head, in, &outcome);
        if (body < 0) {
            outcome.err = (int)body;
            break;
        }
        in = bytes_from(in, (size_t)body);
        outcome.complete += !outcome.partial;
        if (head.framing == H1_FRAMING_TUNNEL || (head.flags & H1_UPGRADE) != 0) {
            break;
        }
    }
    return outcome;
}

static bool is_in(const char *id, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(id, *list) == 0) {
            return true;
        }
    }
    return false;
}

/* Cases with a choice whose answer is not a refusal by the codec, and why. */
static const char *const read_though_refusable[] = {
    "rl-absolute-host-mismatch", /* the target wins */
    "rl-absolute-netpath",       /* a path with a doubled slash */
    "rl-method-lowercase",       /* another method */
    "rl-absolute-https-on-http", /* the proxy takes the scheme from its transport */
    "cl-head-body",              /* a body is read where a length says so */
    "cl-options-body",
    "cl-nominated", /* framing fields cannot be nominated */
    "te-nominated",
    "up-with-body",
    NULL,
};

/* Cases that end within a message by design. */
static const char *const partial_by_design[] = {
    "ex-100-wait", /* the body comes later */
    NULL,
};

static bool expects(const struct http_case *one, const char *what)
{
    return strcmp(one->expect, what) == 0;
}

static bool is_whole(const struct outcome *outcome)
{
    return outcome->complete > 0 && outcome->err == MESH_OK && !outcome->partial;
}

/* Whether the codec's outcome fits what the case expects of a proxy. */
static bool fits(const struct http_case *one, const struct outcome *outcome)
{
    static const char *const wholes[] = {"accept",
                                         "accept_normalize",
                                         "accept_or_411",
                                         "accept_or_drop",
                                         "strip",
                                         "tunnel",
                                         "tunnel_guard",
                                         "proxy_headers_kept",
                                         "no_default_leak",
                                         "reject_or_scheme_by_transport",
                                         "no_trailer_merge",
                                         "accept_or_limit",
                                         "accept_or_reject",
                                         "timeout_close",
                                         "reject_or_exact",
                                         "no_open_redirect",
                                         NULL};

    if (is_in(one->id, partial_by_design)) {
        return outcome->err == MESH_OK && outcome->partial && outcome->complete == 0;
    }
    if (expects(one, "reject_close") || expects(one, "limit") ||
        (expects(one, "reject_or_normalize") && !is_in(one->id, read_though_refusable))) {
        return outcome->complete == 0 && outcome->err < 0;
    }
    if (expects(one, "reject_or_normalize") || is_in(one->expect, wholes)) {
        return is_whole(outcome);
    }
    if (expects(one, "first_ok_then_reject")) {
        return outcome->complete == 1 && outcome->err < 0;
    }
    if (expects(one, "abort") || expects(one, "abort_or_timeout")) {
        return outcome->complete == 0 && outcome->err == MESH_OK && outcome->partial;
    }
    if (expects(one, "underscore_policy")) {
        return outcome->alias && is_whole(outcome);
    }
    if (expects(one, "reject_or_h2")) {
        return outcome->err == MESH_E_VERSION;
    }
    /* Either is fine, as long as it ends. */
    return expects(one, "limit_or_accept") || expects(one, "route_consistency");
}

TEST(requests_of_the_vectors)
{
    for (size_t i = 0; i < COUNT(request_cases); i++) {
        const struct http_case *one = &request_cases[i];
        struct bytes in = cunit_guarded(bytes_of(one->bytes, one->len));
        struct outcome outcome = run(in, NULL);

        cunit_context("%s expects %s: %u complete, %s%s", one->id, one->expect, outcome.complete,
                      err_name(outcome.err), outcome.partial ? ", partial" : "");
        CHECK(fits(one, &outcome));
        if (expects(one, "no_trailer_merge")) {
            CHECK(outcome.bad_trailer);
        }
        cunit_unguard(in.ptr);
    }
    CHECK(COUNT(request_cases) > 250);
}

TEST(responses_of_the_vectors)
{
    static const char *const refused[] = {"gateway_error", "gateway_error_or_normalize",
                                          "abort_or_502", NULL};
    static const char *const cut[] = {"rs-short-chunk", "rs-reset-mid-headers", NULL};

    for (size_t i = 0; i < COUNT(response_cases); i++) {
        const struct http_case *one = &response_cases[i];
        struct bytes in = cunit_guarded(bytes_of(one->bytes, one->len));
        struct outcome outcome = run(in, one->method);

        cunit_context("%s expects %s: %u complete, %s%s", one->id, one->expect, outcome.complete,
                      err_name(outcome.err), outcome.partial ? ", partial" : "");
        if (is_in(one->id, cut)) {
            CHECK(outcome.err == MESH_OK && outcome.partial && outcome.complete == 0);
        } else if (is_in(one->expect, refused)) {
            CHECK(outcome.err < 0 && outcome.complete == 0);
        } else if (expects(one, "no_desync")) {
            CHECK(outcome.complete > 0); /* what follows is left over for the proxy to notice */
        } else {
            CHECK(is_whole(&outcome));
        }
        cunit_unguard(in.ptr);
    }
    CHECK(COUNT(response_cases) > 30);
}

/* However the bytes of a head are cut, the verdict about the whole is the same: prefixes are
 * refused only if the whole is. */
TEST(every_prefix_of_every_case)
{
    for (size_t i = 0; i < COUNT(request_cases); i++) {
        const struct http_case *one = &request_cases[i];
        struct h1_head head;
        int whole = h1_parse_request(bytes_of(one->bytes, one->len), &head);
        size_t step = one->len > 2048 ? 61 : 1;

        cunit_context("%s", one->id);
        for (size_t len = 0; len < one->len && len < H1_MAX_HEAD; len += step) {
            struct bytes in = cunit_guarded(bytes_of(one->bytes, len));
            int result = h1_parse_request(in, &head);

            CHECK(result == 0 || result == whole || (result < 0 && whole < 0));
            cunit_unguard(in.ptr);
        }
    }
}

/* What some cases say about their heads beyond a verdict. */
TEST(meaning_of_single_cases)
{
    for (size_t i = 0; i < COUNT(request_cases); i++) {
        const struct http_case *one = &request_cases[i];
        struct outcome outcome = run(bytes_of(one->bytes, one->len), NULL);

        cunit_context("%s", one->id);
        if (strcmp(one->id, "up-http10") == 0) {
            CHECK_INT(outcome.flags & H1_UPGRADE, 0);
        } else if (strcmp(one->id, "up-ws-ok") == 0) {
            CHECK_INT(outcome.flags & H1_UPGRADE_WEBSOCKET, H1_UPGRADE_WEBSOCKET);
        } else if (strcmp(one->id, "up-h2c") == 0) {
            CHECK_INT(outcome.flags & H1_UPGRADE_WEBSOCKET, 0);
        } else if (strcmp(one->id, "conn-http10-default-close") == 0) {
            CHECK_INT(outcome.flags & H1_KEEP_ALIVE, 0);
        } else if (strcmp(one->id, "rl-method-lowercase") == 0) {
            CHECK_INT(outcome.method, H1_METHOD_OTHER);
        } else if (strcmp(one->id, "cl-name-underscore") == 0) {
            CHECK_INT(outcome.framing, H1_FRAMING_NONE);
        } else if (strcmp(one->id, "conn-pipeline-3") == 0) {
            CHECK_UINT(outcome.complete, 3);
        } else if (strcmp(one->id, "ex-100-immediate") == 0) {
            CHECK_INT(outcome.flags & H1_EXPECT_CONTINUE, H1_EXPECT_CONTINUE);
        }
    }
}
