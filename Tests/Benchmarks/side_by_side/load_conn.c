/* Sockets of the loader, with or without TLS; edge-triggered, so whoever reads, reads all. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load.h"

SSL_CTX *load_conn_tls(const char *ca_file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1) {
        kit_die("TLS cannot be set up with %s", ca_file);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct load_conn *conn = SSL_get_app_data(ssl);

    SSL_SESSION_free(conn->session);
    conn->session = session;
    return 1; /* it is ours now */
}

void load_conn_keep_tickets(SSL_CTX *context)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
}

enum load_error load_conn_open(struct load_thread *thread, struct load_conn *conn)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
    const struct load_options *options = thread->options;

    conn->fd = kit_connect(options->port, options->congestion);
    if (conn->fd < 0) {
        return LOAD_NO_CONNECT;
    }
    if (options->fresh) {
        /* Closed by reset: else the loader's ports would all wait in TIME_WAIT within seconds. */
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    if (options->tls != NULL) {
        conn->ssl = SSL_new(options->tls);
        if (conn->ssl == NULL || SSL_set_fd(conn->ssl, conn->fd) != 1 ||
            SSL_set_tlsext_host_name(conn->ssl, "bench.test") != 1 ||
            SSL_set1_host(conn->ssl, "bench.test") != 1) {
            return LOAD_NO_CONNECT;
        }
        SSL_set_app_data(conn->ssl, conn);
        SSL_set_connect_state(conn->ssl);
        if (conn->session != NULL && SSL_set_session(conn->ssl, conn->session) != 1) {
            return LOAD_NO_CONNECT;
        }
    }
    conn->connected = false;
    conn->in_body = false;
    conn->have = 0;
    conn->in_flight = 0;
    conn->answered = conn->sent; /* what was owed is lost with the old connection */
    conn->out_head = conn->out_body = 0;
    return epoll_ctl(thread->poller, EPOLL_CTL_ADD, conn->fd, &event) == 0 ? LOAD_OK
                                                                           : LOAD_NO_CONNECT;
}

void load_conn_close(struct load_conn *conn)
{
    if (conn->ssl != NULL) {
        /* As if both had said goodbye: OpenSSL forgets the ticket of a session that was cut. */
        SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(conn->ssl);
        conn->ssl = NULL;
    }
    if (conn->fd >= 0) {
        close(conn->fd);
        conn->fd = -1;
    }
    conn->connected = false;
}

enum load_error load_conn_shake(struct load_conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (conn->ssl == NULL) {
        if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
            return LOAD_NO_CONNECT;
        }
        conn->connected = true;
        return LOAD_OK;
    }
    int done = SSL_do_handshake(conn->ssl);

    if (done == 1) {
        conn->connected = true;
        conn->resumed = SSL_session_reused(conn->ssl) == 1;
        return LOAD_OK;
    }
    error = SSL_get_error(conn->ssl, done);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? LOAD_AGAIN
                                                                         : LOAD_NO_CONNECT;
}

ssize_t load_conn_read(struct load_conn *conn, void *buffer, size_t size)
{
    if (conn->ssl == NULL) {
        ssize_t got = recv(conn->fd, buffer, size, MSG_DONTWAIT);

        return got >= 0 ? got : errno == EAGAIN ? -1 : -2;
    }
    int got = SSL_read(conn->ssl, buffer, (int)size);

    if (got > 0) {
        return got;
    }
    switch (SSL_get_error(conn->ssl, got)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -2;
    }
}

static const uint8_t *rest_of_body(const struct load_options *options, const struct load_conn *conn)
{
    /* With requests in the queue it is always the last one begun that is being sent. */
    return kit_body(conn->base + conn->sent - 1) + (options->up - conn->out_body);
}

static ssize_t send_some(const struct load_options *options, struct load_conn *conn)
{
    const uint8_t *head = conn->out + conn->out_head_len - conn->out_head;
    const uint8_t *body = conn->out_body > 0 ? rest_of_body(options, conn) : NULL;

    if (conn->ssl == NULL) {
        struct iovec parts[2] = {{(void *)(uintptr_t)head, conn->out_head},
                                 {(void *)(uintptr_t)body, conn->out_body}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        return sent >= 0 ? sent : errno == EAGAIN ? -1 : -2;
    }
    int sent = conn->out_head > 0 ? SSL_write(conn->ssl, head, (int)conn->out_head)
                                  : SSL_write(conn->ssl, body, (int)conn->out_body);

    if (sent > 0) {
        return sent;
    }
    int error = SSL_get_error(conn->ssl, sent);

    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : -2;
}

enum load_error load_conn_flush(const struct load_options *options, struct load_conn *conn)
{
    while (conn->out_head > 0 || conn->out_body > 0) {
        ssize_t sent = send_some(options, conn);

        if (sent < 0) {
            return sent == -1 ? LOAD_AGAIN : LOAD_CLOSED;
        }
        uint32_t of_head = (uint32_t)sent < conn->out_head ? (uint32_t)sent : conn->out_head;

        conn->out_head -= of_head;
        conn->out_body -= (uint32_t)sent - of_head;
    }
    return LOAD_OK;
}
