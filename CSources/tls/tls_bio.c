/* One BIO for all sessions of the process. Reading takes from the slice that the caller fed to the
 * current session, writing appends to the scratch. The BIO carries no state between two calls of
 * the library, so sharing it is safe and saves its object and lock in every session. */
#include "tls_private.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>

#define SCRATCH_FIRST (32u << 10)

static int bio_read(BIO *bio, char *out, size_t capacity, size_t *got)
{
    struct tls_session *session = tls_engine.current;
    size_t count = session->in.len < capacity ? session->in.len : capacity;

    BIO_clear_retry_flags(bio);
    if (count == 0 || session->afterwards >= TLS_AFTERWARDS_MAX) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, session->in.ptr, count);
    session->in = bytes_from(session->in, count);
    *got = count;
    return 1;
}

static bool scratch_reserve(size_t more)
{
    size_t need = tls_engine.scratch_len + more;
    size_t capacity =
        tls_engine.scratch_capacity == 0 ? SCRATCH_FIRST : tls_engine.scratch_capacity;
    uint8_t *grown;

    if (need <= tls_engine.scratch_capacity) {
        return true;
    }
    if (need > TLS_OUTPUT_MAX) {
        return false;
    }
    while (capacity < need) {
        capacity *= 2;
    }
    grown = OPENSSL_realloc(tls_engine.scratch, capacity);
    if (grown == NULL) {
        return false;
    }
    tls_engine.scratch = grown;
    tls_engine.scratch_capacity = capacity;
    return true;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    BIO_clear_retry_flags(bio);
    if (!scratch_reserve(len)) {
        tls_engine.current->why = "output was not taken";
        return 0;
    }
    memcpy(tls_engine.scratch + tls_engine.scratch_len, data, len);
    tls_engine.scratch_len += len;
    *written = len;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

bool tls_bio_init(void)
{
    int type = BIO_get_new_index();

    if (type == -1) {
        return false;
    }
    tls_engine.method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "tls session");
    if (tls_engine.method == NULL || !BIO_meth_set_read_ex(tls_engine.method, bio_read) ||
        !BIO_meth_set_write_ex(tls_engine.method, bio_write) ||
        !BIO_meth_set_ctrl(tls_engine.method, bio_ctrl)) {
        return false;
    }
    tls_engine.bio = BIO_new(tls_engine.method);
    if (tls_engine.bio == NULL) {
        return false;
    }
    BIO_set_init(tls_engine.bio, 1);
    return true;
}

/* The scratch goes to another session. What its owner has not been asked for yet moves to a buffer
 * of the owner's own; that is a copy which a caller who takes output after each call never pays. */
static void scratch_pass_to(struct tls_session *session)
{
    struct tls_session *owner = tls_engine.owner;

    if (owner != NULL && tls_engine.scratch_len > 0) {
        MUST(owner->held == NULL);
        owner->held = OPENSSL_memdup(tls_engine.scratch, tls_engine.scratch_len);
        owner->held_len = (uint32_t)tls_engine.scratch_len;
        if (owner->held == NULL) { /* its stream now has a hole: it must not go on */
            owner->held_len = 0;
            owner->status = TLS_FAILED;
            owner->why = "out of memory";
        }
    }
    tls_engine.scratch_len = 0;
    tls_engine.owner = session;
    if (session->held != NULL) {
        MUST(scratch_reserve(session->held_len)); /* it was in the scratch before */
        memcpy(tls_engine.scratch, session->held, session->held_len);
        tls_engine.scratch_len = session->held_len;
        OPENSSL_free(session->held);
        session->held = NULL;
        session->held_len = 0;
    }
}

void tls_bio_enter(struct tls_session *session)
{
    tls_engine.current = session;
    if (__builtin_expect(tls_engine.owner != session, 0)) {
        scratch_pass_to(session);
    }
}

void tls_bio_forget(struct tls_session *session)
{
    if (tls_engine.owner == session) {
        tls_engine.owner = NULL;
        tls_engine.scratch_len = 0;
    }
    if (tls_engine.current == session) {
        tls_engine.current = NULL;
    }
}
