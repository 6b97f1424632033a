/* Parses one kind of input a number of times, for counting instructions (tools/bench-wire) and for
 * timing by hand: wire-bench list | wire-bench CASE ROUNDS. Prints nanoseconds per round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/must.h"
#include "wire/h1.h"
#include "wire/h1body.h"
#include "wire/uri.h"

/* A browser's request for an image, as pages and cookies of real sites make them. */
static const char browser[] =
    "GET /wp-content/uploads/2010/03/harbour-lights-by-night-1280.jpg HTTP/1.1\r\n"
    "Host: www.example-site.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Referer: https://www.example-site.com/2010/03/harbour/\r\n"
    "Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=1735689600; "
    "__utma=164911112.1735689600.1735689600.1735689600.1735689600.1; __utmb=164911112; "
    "__utmc=164911112; __utmz=164911112.1735689600.1.1.utmcsr=(direct)\r\n"
    "Sec-Fetch-Dest: image\r\n"
    "Sec-Fetch-Mode: no-cors\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Priority: u=5, i\r\n"
    "\r\n";

/* A service calling another one. */
static const char api[] = "POST /v1/orders/4711/items?expand=price HTTP/1.1\r\n"
                          "Host: orders.service.internal:8080\r\n"
                          "User-Agent: Go-http-client/1.1\r\n"
                          "Content-Length: 143\r\n"
                          "Accept: application/json\r\n"
                          "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
                          "Content-Type: application/json\r\n"
                          "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
                          "Accept-Encoding: gzip\r\n"
                          "\r\n";

/* What a load generator sends. */
static const char small[] = "GET /p HTTP/1.1\r\nHost: 127.0.0.1:18500\r\n\r\n";

static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                             "Content-Type: application/json; charset=utf-8\r\n"
                             "Content-Length: 482\r\n"
                             "Connection: keep-alive\r\n"
                             "Cache-Control: private, max-age=0\r\n"
                             "ETag: \"5f3c-1a2b3c4d\"\r\n"
                             "X-Request-Id: 7d9f2c1e-58b4-4f0a-9d3e-2b6a1c0f9e8d\r\n"
                             "\r\n";

static const char chunk[] = "400\r\n"
                            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static const char plain_path[] = "/v1/orders/4711/items";
static const char escaped_path[] = "/v1/orders/%7Ejos%c3%a9/./items";
static const char host[] = "Orders.Service.Internal:8080";

static struct h1_head head;
static uint8_t out[256];

static void parse_request(struct bytes in)
{
    MUST(h1_parse_request(in, &head) == (int)in.len);
}

static void parse_response(struct bytes in)
{
    MUST(h1_parse_response(in, H1_METHOD_GET, &head) == (int)in.len);
}

static void read_chunk(struct bytes in)
{
    struct h1body body;
    struct h1body_step step;

    h1body_start(&body, H1_FRAMING_CHUNKED, 0);
    MUST(h1body_next(&body, in, &step) == (int64_t)in.len);
}

static void normal_path(struct bytes in)
{
    bool changed;

    MUST(uri_normal_path(in, out, &changed) > 0);
}

static void normal_host(struct bytes in)
{
    uint16_t port;

    MUST(uri_normal_host(in, out, &port) > 0);
}

static const struct {
    const char *name;
    void (*run)(struct bytes in);
    struct bytes in;
} cases[] = {
#define CASE(name, run, text) {(name), (run), {(const uint8_t *)(text), sizeof(text) - 1}}
    CASE("request_browser", parse_request, browser),
    CASE("request_api", parse_request, api),
    CASE("request_small", parse_request, small),
    CASE("response_api", parse_response, answer),
    CASE("chunk", read_chunk, chunk),
    CASE("path_plain", normal_path, plain_path),
    CASE("path_escaped", normal_path, escaped_path),
    CASE("host", normal_host, host),
};
#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (size_t i = 0; i < CASE_COUNT; i++) {
            printf("%s %zu\n", cases[i].name, cases[i].in.len);
        }
        return 0;
    }
    for (size_t i = 0; argc == 3 && i < CASE_COUNT; i++) {
        long rounds = strtol(argv[2], NULL, 10);
        double start = now_ns();

        if (strcmp(argv[1], cases[i].name) != 0 || rounds <= 0) {
            continue;
        }
        for (long round = 0; round < rounds; round++) {
            cases[i].run(cases[i].in);
            __asm__ volatile("" ::: "memory");
        }
        printf("%.1f\n", (now_ns() - start) / (double)rounds);
        return 0;
    }
    fprintf(stderr, "usage: wire-bench list | wire-bench CASE ROUNDS\n");
    return 64;
}
