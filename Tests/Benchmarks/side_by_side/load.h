/* The loader of the benchmark: its parts and what they share.
 *
 * load.c options, threads, result · load_loop.c one thread's loop · load_work.c requests and the
 * check of every byte of an answer · load_conn.c sockets and TLS · load_idle.c idle connections ·
 * load_hist.c latencies. */
#ifndef LOAD_H
#define LOAD_H
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kit.h"

#define LOAD_DEPTH_MAX   16u
#define LOAD_HEAD_MAX    4096u
#define LOAD_THREADS_MAX 16u

enum load_phase { LOAD_WARMING, LOAD_MEASURING, LOAD_ENDED };

enum load_error {
    LOAD_OK,
    LOAD_AGAIN,      /* not an error: nothing to read, or no room to write */
    LOAD_NO_CONNECT, /* refused, reset, or the TLS handshake failed */
    LOAD_CLOSED,     /* ended or reset while an answer was owed */
    LOAD_BAD_HEAD,   /* not "200", no or wrong length, too long, or bytes after the answer */
    LOAD_BAD_BODY,   /* another byte than that of the pattern */
    LOAD_STALLED,    /* an answer was owed for more than a second when the run ended */
    LOAD_ERROR_COUNT
};

struct load_options {
    uint16_t port;
    bool exchange; /* the exchange protocol instead of HTTP/1.1 */
    bool fresh;    /* a new connection per request */
    bool resume;   /* with the session ticket of the connection before */
    bool spin;     /* never sleep */
    uint32_t connections;
    uint32_t depth; /* messages in flight per connection, exchange only */
    uint32_t up;
    uint32_t down;
    double rate; /* requests per second, 0 for as many as possible */
    double seconds;
    double warmup;
    const char *congestion;
    SSL_CTX *tls;
};

struct load_bytes {
    const uint8_t *ptr;
    size_t len;
};

struct load_hist {
    uint64_t counts[64 * 32];
};

struct load_conn {
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* newest ticket, for the next connection in this place */
    bool resumed;         /* this connection did */
    bool connected;       /* TCP, and TLS if there is some */
    bool in_body;
    bool queued; /* stands in `idle` of its thread */
    bool served; /* had an answer once */
    uint32_t in_flight;
    uint32_t have;      /* bytes of `head` */
    uint64_t sent;      /* requests begun; the number of the next one */
    uint64_t answered;  /* requests ended; answers come in order */
    uint32_t body_left; /* of the answer that is being read */
    uint32_t body_at;
    uint32_t out_head; /* what still has to be sent of `out`, at its end */
    uint32_t out_head_len;
    uint32_t out_body; /* and of the body behind it */
    uint64_t base;     /* sequence numbers of this connection begin here */
    uint64_t opened_ns;
    uint64_t begun_ns[LOAD_DEPTH_MAX];
    uint8_t head[LOAD_HEAD_MAX];
    uint8_t out[256];
};

struct load_thread {
    const struct load_options *options;
    int cpu;
    int poller;
    uint32_t count;
    uint32_t connected;
    struct load_conn *conns;
    uint32_t *idle; /* ring of connections without a request, at a fixed rate */
    uint32_t idle_head;
    uint32_t idle_count;
    uint64_t due_ns; /* of the next request, at a fixed rate */
    uint64_t step_ns;
    uint64_t requests; /* while measuring, as everything below */
    uint64_t bytes;
    uint64_t resumed; /* requests on a connection that resumed */
    uint64_t late;    /* begun more than a millisecond after they were due */
    uint64_t errors[LOAD_ERROR_COUNT];
    struct load_hist hist;
    uint8_t *buffer;
    size_t buffer_size;
};

extern _Atomic int load_phase;
extern _Atomic uint32_t load_served; /* connections that had an answer: warming begins with all */

/* load_conn.c */
SSL_CTX *load_conn_tls(const char *ca_file);
/* Keeps session tickets from now on. */
void load_conn_keep_tickets(SSL_CTX *context);
enum load_error load_conn_open(struct load_thread *thread, struct load_conn *conn);
void load_conn_close(struct load_conn *conn);
/* LOAD_OK once the connection stands, LOAD_AGAIN before. */
enum load_error load_conn_shake(struct load_conn *conn);
/* Bytes, 0 at the end of the stream, -1 nothing now, -2 broken. */
ssize_t load_conn_read(struct load_conn *conn, void *buffer, size_t size);
/* Sends what is waiting: LOAD_OK when all is out, else LOAD_AGAIN or LOAD_CLOSED. */
enum load_error load_conn_flush(const struct load_options *options, struct load_conn *conn);

/* load_work.c */
/* Puts the next request before the socket; the caller flushes. */
void load_work_begin(const struct load_options *options, struct load_conn *conn, uint64_t now);
/* Checks `len` received bytes; adds to *ended how many answers they completed. */
enum load_error load_work_take(const struct load_options *options, struct load_conn *conn,
                               struct load_bytes in, uint32_t *ended);

/* load_loop.c */
void *load_loop_run(void *thread);

/* load_idle.c */
int load_idle_run(const struct load_options *options);

/* load_hist.c */
void load_hist_add(struct load_hist *hist, uint64_t ns);
void load_hist_merge(struct load_hist *into, const struct load_hist *from);
double load_hist_us(const struct load_hist *hist, double quantile);
#endif
