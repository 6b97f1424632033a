/* Speed and memory of the TLS engine, client and server in one process, no sockets.
 * tls-bench list | tls-bench CASE ROUNDS. Prints one figure per line with its unit. For counting
 * instructions: tools/bench-tls. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/must.h"
#include "tls_kit.h"

static uint8_t wire[1 << 20];
static uint8_t plain[64 << 10];

static struct tls_context *server_context;
static struct tls_context *client_context;
static int64_t server_ns; /* spent in calls on server sessions during handshakes */

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* What `from` has to say, given to `to`; plaintext bytes that came of it. */
static size_t move(struct tls_session *from, struct tls_session *to)
{
    struct bytes out = tls_output(from);
    size_t len = out.len;
    size_t total = 0;

    MUST(len <= sizeof(wire));
    memcpy(wire, out.ptr, len); /* stands for the socket */
    tls_output_taken(from);
    if (len == 0) {
        return 0;
    }
    (void)tls_feed(to, bytes_of(wire, len));
    for (;;) {
        int64_t got = tls_read(to, plain, sizeof(plain));

        if (got <= 0) {
            return total;
        }
        total += (size_t)got;
    }
}

static void shake(struct tls_session *client, struct tls_session *server)
{
    (void)tls_start(client);
    for (int i = 0; i < 3; i++) {
        int64_t start = now_ns();

        (void)move(client, server);
        server_ns += now_ns() - start;
        (void)move(server, client);
    }
    MUST(tls_status_of(client) == TLS_OPEN);
    MUST(tls_status_of(server) == TLS_OPEN);
}

static struct tls_session *new_client(struct tls_resume *resume)
{
    return tls_session_create(client_context, BYTES_LITERAL("web.example"), (struct bytes){0},
                              resume);
}

static struct tls_session *new_server(void)
{
    return tls_session_create(server_context, (struct bytes){0}, (struct bytes){0}, NULL);
}

static void run_handshakes(uint32_t rounds, bool resumed)
{
    struct tls_resume *resume = NULL;
    int64_t begin;

    if (resumed) {
        struct tls_session *client = new_client(NULL);
        struct tls_session *server = new_server();

        shake(client, server);
        resume = tls_take_resume(client);
        MUST(resume != NULL);
        tls_session_destroy(client);
        tls_session_destroy(server);
    }
    server_ns = 0;
    begin = now_ns();
    for (uint32_t i = 0; i < rounds; i++) {
        struct tls_session *client = new_client(resume);
        int64_t start = now_ns();
        struct tls_session *server = new_server();

        server_ns += now_ns() - start;
        shake(client, server);
        MUST(tls_resumed(server) == resumed);
        tls_session_destroy(client);
        start = now_ns();
        tls_session_destroy(server);
        server_ns += now_ns() - start;
    }
    printf("%.1f us both sides, %.1f us server, %.0f per second of a server\n",
           (double)(now_ns() - begin) / rounds / 1e3, (double)server_ns / rounds / 1e3,
           1e9 * rounds / (double)server_ns);
    tls_resume_free(resume);
}

static void run_full(uint32_t rounds)
{
    run_handshakes(rounds, false);
}

static void run_resumed(uint32_t rounds)
{
    run_handshakes(rounds, true);
}

static void with_pair(uint32_t rounds, void (*body)(struct tls_session *client,
                                                    struct tls_session *server, uint32_t rounds))
{
    struct tls_session *client = new_client(NULL);
    struct tls_session *server = new_server();

    shake(client, server);
    body(client, server, rounds);
    tls_session_destroy(client);
    tls_session_destroy(server);
}

/* 16 KiB written and the ciphertext dropped. */
static void write_body(struct tls_session *client, struct tls_session *server, uint32_t rounds)
{
    struct bytes part = bytes_of(plain, 16384);
    int64_t begin = now_ns();

    (void)server;
    for (uint32_t i = 0; i < rounds; i++) {
        MUST(tls_write(client, &part, 1) == MESH_OK);
        tls_output_taken(client);
    }
    printf("%.2f GB/s\n", 16384.0 * rounds / (double)(now_ns() - begin));
}

static void run_write_16k(uint32_t rounds)
{
    with_pair(rounds, write_body);
}

/* 64 KiB written, moved and read. */
static void bulk_body(struct tls_session *client, struct tls_session *server, uint32_t rounds)
{
    static uint8_t source[64 << 10];
    struct bytes part = bytes_of(source, sizeof(source));
    int64_t begin = now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        MUST(tls_write(client, &part, 1) == MESH_OK);
        MUST(move(client, server) == sizeof(source));
    }
    printf("%.2f GB/s written and read\n", 65536.0 * rounds / (double)(now_ns() - begin));
}

static void run_bulk_64k(uint32_t rounds)
{
    with_pair(rounds, bulk_body);
}

/* 200 bytes there and 200 bytes back: four records. */
static void echo_body(struct tls_session *client, struct tls_session *server, uint32_t rounds)
{
    static const uint8_t source[200];
    struct bytes part = bytes_of(source, sizeof(source));
    int64_t begin = now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        MUST(tls_write(client, &part, 1) == MESH_OK);
        MUST(move(client, server) == sizeof(source));
        MUST(tls_write(server, &part, 1) == MESH_OK);
        MUST(move(server, client) == sizeof(source));
    }
    printf("%.0f ns a round trip\n", (double)(now_ns() - begin) / rounds);
}

static void run_echo_200(uint32_t rounds)
{
    with_pair(rounds, echo_body);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

/* Bytes per session of each side: sessions are opened, then one side's are closed. */
static void run_memory(uint32_t rounds)
{
    struct tls_session **clients = calloc(rounds, sizeof(struct tls_session *));
    struct tls_session **servers = calloc(rounds, sizeof(struct tls_session *));
    size_t empty;
    size_t full;
    size_t half;
    struct tls_session *client = new_client(NULL);
    struct tls_session *server = new_server();

    shake(client, server); /* what is made once */
    tls_session_destroy(client);
    tls_session_destroy(server);
    empty = heap_bytes();
    for (uint32_t i = 0; i < rounds; i++) {
        clients[i] = new_client(NULL);
        servers[i] = new_server();
        shake(clients[i], servers[i]);
    }
    full = heap_bytes();
    for (uint32_t i = 0; i < rounds; i++) {
        tls_session_destroy(clients[i]);
    }
    half = heap_bytes();
    for (uint32_t i = 0; i < rounds; i++) {
        tls_session_destroy(servers[i]);
    }
    printf("%zu bytes a server session, %zu bytes a client session, %zu left over\n",
           (half - empty) / rounds, (full - half) / rounds, heap_bytes() - empty);
    free(clients);
    free(servers);
}

struct bench {
    const char *name;
    uint32_t rounds;
    uint32_t counted; /* rounds for counting instructions; 0 = only timed */
    void (*run)(uint32_t rounds);
};

static const struct bench benches[] = {
    {"full_handshake", 3000, 0, run_full},      {"resumed_handshake", 5000, 0, run_resumed},
    {"write_16k", 200000, 2000, run_write_16k}, {"bulk_64k", 30000, 200, run_bulk_64k},
    {"echo_200", 300000, 2000, run_echo_200},   {"memory", 1000, 0, run_memory},
};

static void make_contexts(bool mutual)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();

    server.verify = mutual ? TLS_VERIFY_REQUIRE : TLS_VERIFY_NONE;
    client.certificate_count = mutual ? 1 : 0;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
}

int main(int argc, char **argv)
{
    bool mutual = argc < 4 || strcmp(argv[3], "one-sided") != 0;

    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
            printf("%s %u %u\n", benches[i].name, benches[i].rounds, benches[i].counted);
        }
        return 0;
    }
    make_contexts(mutual);
    if (argc == 2 && strcmp(argv[1], "library") == 0) {
        puts(tls_library());
        return 0;
    }
    for (size_t i = 0; argc >= 3 && i < sizeof(benches) / sizeof(benches[0]); i++) {
        if (strcmp(argv[1], benches[i].name) == 0) {
            benches[i].run((uint32_t)strtoul(argv[2], NULL, 10));
            return 0;
        }
    }
    fprintf(stderr, "usage: tls-bench list | tls-bench CASE ROUNDS [one-sided]\n");
    return 64;
}
