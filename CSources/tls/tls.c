/* The engine's doors: bytes in, bytes out. */
#include "tls/tls.h"

#include <openssl/err.h>

#include "base/err.h"
#include "base/num.h"
#include "tls_private.h"

/* AES-GCM keys are good for 2^24.5 full records (RFC 8446 5.5). */
uint32_t tls_rekey_after = 1u << 24;

static uint8_t gather[TLS_RECORD_MAX]; /* small parts on their way into one record */

/* Own copy of what is unread, with `more` behind it. */
static bool keep_input(struct tls_session *session, struct bytes more)
{
    size_t total = session->in.len + more.len;
    uint8_t *kept;

    if (total > TLS_INPUT_MAX) {
        session->why = "input was not read";
        return false;
    }
    kept = OPENSSL_malloc(total);
    if (kept == NULL) {
        session->why = "out of memory";
        return false;
    }
    memcpy(kept, session->in.ptr, session->in.len);
    if (more.len > 0) {
        memcpy(kept + session->in.len, more.ptr, more.len);
    }
    OPENSSL_free(session->kept);
    session->kept = kept;
    session->in = bytes_of(kept, total);
    return true;
}

static void note_first(struct tls_session *session, struct bytes in)
{
    while (session->first_len < sizeof(session->first) && in.len > 0) {
        session->first[session->first_len++] = in.ptr[0];
        in = bytes_from(in, 1);
    }
}

enum tls_status tls_feed(struct tls_session *session, struct bytes in)
{
    if (session->status == TLS_FAILED || session->status == TLS_PEER_CLOSED || in.len == 0) {
        return session->status; /* nothing after the end counts */
    }
    tls_bio_enter(session);
    DCHECK(ERR_peek_error() == 0);
    if (session->in.len == 0) {
        session->in = in;
    } else if (!keep_input(session, in)) {
        tls_session_fail(session);
        return session->status;
    }
    if (session->status == TLS_HANDSHAKING) {
        note_first(session, in);
        session->moved_in += (uint32_t)num_min_size(in.len, TLS_HANDSHAKE_MAX + 1);
        tls_session_handshake(session);
    }
    return session->status;
}

enum tls_status tls_start(struct tls_session *session)
{
    MUST(!session->context->server);
    if (session->status == TLS_HANDSHAKING) {
        tls_bio_enter(session);
        tls_session_handshake(session);
    }
    return session->status;
}

void tls_keep(struct tls_session *session)
{
    if (session->in.len > 0 && session->kept == NULL && !keep_input(session, (struct bytes){0})) {
        tls_session_fail(session);
    }
}

/* The library gave no plaintext: needs more, end, or failure. SSL_get_error() goes by the queue of
 * errors, which every call leaves empty. */
static void read_ended(struct tls_session *session)
{
    int error = SSL_get_error(session->ssl, 0);

    if (session->afterwards >= TLS_AFTERWARDS_MAX) {
        session->why = "too many handshake messages";
        tls_session_fail(session);
    } else if (error == SSL_ERROR_ZERO_RETURN) {
        session->status = TLS_PEER_CLOSED;
        tls_session_drop_input(session);
    } else if (error != SSL_ERROR_WANT_READ) {
        tls_session_fail(session);
    }
}

/* Plaintext either way pays for handshake messages after the handshake. */
static void earn_credit(struct tls_session *session, size_t plaintext)
{
    if (session->afterwards > 0) {
        session->moved_in += (uint32_t)num_min_size(plaintext, TLS_OUTPUT_MAX);
        while (session->moved_in >= TLS_AFTERWARDS_CREDIT && session->afterwards > 0) {
            session->moved_in -= TLS_AFTERWARDS_CREDIT;
            session->afterwards--;
        }
    }
}

/* All that was fed is read. A ticket or key update makes the library take a sending buffer that it
 * would keep until something is sent. */
static void end_of_input(struct tls_session *session)
{
    if (session->kept != NULL) {
        tls_session_drop_input(session);
    }
    if (session->untidy) {
        session->untidy = false;
        (void)SSL_free_buffers(session->ssl);
    }
}

int64_t tls_read(struct tls_session *session, uint8_t *out, size_t capacity)
{
    size_t total = 0;

    if (session->status != TLS_OPEN) {
        return session->status == TLS_FAILED ? MESH_E_TLS : 0;
    }
    tls_bio_enter(session);
    DCHECK(ERR_peek_error() == 0);
    while (total < capacity && (session->in.len > 0 || SSL_pending(session->ssl) > 0)) {
        size_t got = 0;

        if (SSL_read_ex(session->ssl, out + total, capacity - total, &got) != 1) {
            read_ended(session);
            break;
        }
        total += got;
        earn_credit(session, got);
    }
    if (session->in.len == 0) {
        end_of_input(session);
    }
    if (total == 0 && session->status == TLS_FAILED) {
        return MESH_E_TLS;
    }
    return (int64_t)total;
}

static bool write_plain(struct tls_session *session, struct bytes plain)
{
    size_t written;

    if (session->records_out >= tls_rekey_after && SSL_version(session->ssl) == TLS1_3_VERSION) {
        if (SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1) {
            session->records_out = 0;
        }
    }
    session->records_out += (uint32_t)(plain.len / TLS_RECORD_MAX + 1);
    if (SSL_write_ex(session->ssl, plain.ptr, plain.len, &written) != 1) {
        tls_session_fail(session);
        return false;
    }
    earn_credit(session, plain.len);
    return true;
}

/* Whole records straight from the parts, and what is smaller gathered into one. */
static bool write_parts(struct tls_session *session, const struct bytes *parts, uint32_t count)
{
    size_t filled = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct bytes part = parts[i];

        while (part.len > 0) {
            size_t take = num_min_size(part.len, sizeof(gather) - filled);

            if (filled == 0 && (i + 1 == count || part.len >= sizeof(gather))) {
                take = i + 1 == count ? part.len : part.len - part.len % sizeof(gather);
                if (!write_plain(session, bytes_part(part, 0, take))) {
                    return false;
                }
            } else {
                memcpy(gather + filled, part.ptr, take);
                filled += take;
            }
            part = bytes_from(part, take);
            if (filled == sizeof(gather)) {
                if (!write_plain(session, bytes_of(gather, filled))) {
                    return false;
                }
                filled = 0;
            }
        }
    }
    return filled == 0 || write_plain(session, bytes_of(gather, filled));
}

int tls_write(struct tls_session *session, const struct bytes *parts, uint32_t count)
{
    if ((session->status != TLS_OPEN && session->status != TLS_PEER_CLOSED) ||
        session->close_sent) {
        return MESH_E_TLS;
    }
    tls_bio_enter(session);
    DCHECK(ERR_peek_error() == 0);
    return write_parts(session, parts, count) ? MESH_OK : MESH_E_TLS;
}

void tls_close_write(struct tls_session *session)
{
    if ((session->status != TLS_OPEN && session->status != TLS_PEER_CLOSED) ||
        session->close_sent) {
        return;
    }
    tls_bio_enter(session);
    session->close_sent = true;
    if (SSL_shutdown(session->ssl) < 0) {
        ERR_clear_error();
    }
}

struct bytes tls_output(struct tls_session *session)
{
    if (tls_engine.owner == session) {
        return bytes_of(tls_engine.scratch, tls_engine.scratch_len);
    }
    return bytes_of(session->held, session->held_len);
}

void tls_output_taken(struct tls_session *session)
{
    if (tls_engine.owner == session) {
        tls_engine.scratch_len = 0;
    }
    OPENSSL_free(session->held);
    session->held = NULL;
    session->held_len = 0;
}

void tls_idle(struct tls_session *session)
{
    if (session->status == TLS_OPEN) {
        (void)SSL_free_buffers(session->ssl);
        ERR_clear_error();
    }
}
