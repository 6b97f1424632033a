/* Loader of the benchmark. Prints one line of JSON; every byte of every answer has been compared.
 *
 *   load --port N [--exchange] [--tls CA.crt] [--connections N] [--depth N] [--up N] [--down N]
 *        [--rate PER_SECOND] [--fresh] [--seconds S] [--warmup S] [--cpus 2,3] [--spin]
 *        [--resume] [--congestion NAME] [--watch NAME=PID]... [--idle]
 *
 * --watch reads the processor time of a process exactly when measuring begins and ends. */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define WATCHED_MAX 8u
#define PATIENCE_NS 10000000000u

_Atomic int load_phase = LOAD_WARMING;
_Atomic uint32_t load_served;

static const char *const error_names[LOAD_ERROR_COUNT] = {
    "ok", "again", "connect", "closed", "head", "body", "stalled",
};

struct watched {
    const char *name;
    pid_t pid;
    uint64_t begin_ns;
    uint64_t end_ns;
};

static struct load_options options = {
    .connections = 64, .depth = 1, .down = 128, .seconds = 2.0, .warmup = 0.3};
static struct load_thread threads[LOAD_THREADS_MAX];
static uint32_t thread_count;
static struct watched watched[WATCHED_MAX];
static uint32_t watched_count;
static bool idle;

static void sleep_for(double seconds)
{
    struct timespec span = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&span, &span) != 0) {
    }
}

static double real(const char *what, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 0 && value <= 1e9)) {
        kit_die("%s: expected a number, got '%s'", what, text);
    }
    return value;
}

static void watch(char *text)
{
    char *pid = strchr(text, '=');

    if (pid == NULL || watched_count == WATCHED_MAX) {
        kit_die("--watch: expected NAME=PID, at most %u times", WATCHED_MAX);
    }
    *pid++ = '\0';
    watched[watched_count++] =
        (struct watched){.name = text, .pid = (pid_t)kit_number("--watch", pid, INT32_MAX)};
}

static void pin(char *list)
{
    for (char *at = strtok(list, ","); at != NULL; at = strtok(NULL, ",")) {
        if (thread_count == LOAD_THREADS_MAX) {
            kit_die("--cpus: at most %u", LOAD_THREADS_MAX);
        }
        threads[thread_count++].cpu = (int)kit_number("--cpus", at, 1023);
    }
}

static void take_size(int name, const char *text)
{
    switch (name) {
    case 'p':
        options.port = (uint16_t)kit_number("--port", text, UINT16_MAX);
        break;
    case 'n':
        options.connections = (uint32_t)kit_number("--connections", text, 1000000);
        break;
    case 'q':
        options.depth = (uint32_t)kit_number("--depth", text, LOAD_DEPTH_MAX);
        break;
    case 'u':
        options.up = (uint32_t)kit_number("--up", text, KIT_BODY_MAX);
        break;
    case 'd':
        options.down = (uint32_t)kit_number("--down", text, KIT_BODY_MAX);
        break;
    default: /* getopt_long() has said what is wrong */
        exit(64);
    }
}

static void take(int name, char *text)
{
    switch (name) {
    case 'x':
        options.exchange = true;
        break;
    case 'f':
        options.fresh = true;
        break;
    case 'e':
        options.resume = true;
        break;
    case 'z':
        options.spin = true;
        break;
    case 'i':
        idle = true;
        break;
    case 't':
        options.tls = load_conn_tls(text);
        break;
    case 'r':
        options.rate = real("--rate", text);
        break;
    case 's':
        options.seconds = real("--seconds", text);
        break;
    case 'w':
        options.warmup = real("--warmup", text);
        break;
    case 'g':
        options.congestion = text;
        break;
    case 'o':
        watch(text);
        break;
    case 'c':
        pin(text);
        break;
    default:
        take_size(name, text);
    }
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"exchange", no_argument, NULL, 'x'},
        {"tls", required_argument, NULL, 't'},
        {"connections", required_argument, NULL, 'n'},
        {"depth", required_argument, NULL, 'q'},
        {"up", required_argument, NULL, 'u'},
        {"down", required_argument, NULL, 'd'},
        {"rate", required_argument, NULL, 'r'},
        {"fresh", no_argument, NULL, 'f'},
        {"resume", no_argument, NULL, 'e'},
        {"seconds", required_argument, NULL, 's'},
        {"warmup", required_argument, NULL, 'w'},
        {"cpus", required_argument, NULL, 'c'},
        {"spin", no_argument, NULL, 'z'},
        {"congestion", required_argument, NULL, 'g'},
        {"watch", required_argument, NULL, 'o'},
        {"idle", no_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    int name;

    while ((name = getopt_long(argc, argv, "", known, NULL)) != -1) {
        take(name, optarg);
    }
    if (options.port == 0 || options.connections == 0 || options.depth == 0 ||
        (options.exchange ? options.down < KIT_ANSWER_HEAD : options.depth > 1) ||
        (options.rate > 0 && (options.fresh || options.depth > 1))) {
        kit_die("--port is needed; --exchange needs --down 8 or more; --depth needs --exchange; "
                "--rate goes with neither --fresh nor --depth");
    }
    if (options.resume) {
        if (options.tls == NULL || !options.fresh) {
            kit_die("--resume needs --tls and --fresh");
        }
        load_conn_keep_tickets(options.tls);
    }
    if (thread_count == 0) {
        threads[thread_count++].cpu = -1;
    }
    if (options.connections < thread_count) {
        thread_count = options.connections;
    }
}

static void start(pthread_t *handles)
{
    double per_thread = options.rate / thread_count;

    for (uint32_t i = 0; i < thread_count; i++) {
        uint32_t share = options.connections / thread_count;

        threads[i].options = &options;
        threads[i].count = share + (i < options.connections % thread_count ? 1 : 0);
        threads[i].step_ns = options.rate > 0 ? (uint64_t)(1e9 / per_thread) : 0;
        if (pthread_create(&handles[i], NULL, load_loop_run, &threads[i]) != 0) {
            kit_die("cannot start a thread");
        }
    }
    uint64_t begun = kit_now_ns();

    while (atomic_load(&load_served) < options.connections) {
        if (kit_now_ns() - begun > PATIENCE_NS) {
            kit_die("only %u of %u connections got an answer", atomic_load(&load_served),
                    options.connections);
        }
        sleep_for(0.005);
    }
}

static void report(uint64_t span_ns, uint64_t own_ns)
{
    static struct load_hist hist;
    uint64_t requests = 0, bytes = 0, late = 0, resumed = 0;

    for (uint32_t i = 0; i < thread_count; i++) {
        requests += threads[i].requests;
        bytes += threads[i].bytes;
        late += threads[i].late;
        resumed += threads[i].resumed;
        load_hist_merge(&hist, &threads[i].hist);
    }
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"bytes\": %llu, \"late\": %llu, "
           "\"resumed\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, "
           "\"own_cpu_ns\": %llu",
           (unsigned long long)requests, (double)span_ns / 1e9, (unsigned long long)bytes,
           (unsigned long long)late, (unsigned long long)resumed, load_hist_us(&hist, 0.5),
           load_hist_us(&hist, 0.99), load_hist_us(&hist, 1.0), (unsigned long long)own_ns);
    for (uint32_t kind = LOAD_NO_CONNECT; kind < LOAD_ERROR_COUNT; kind++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < thread_count; i++) {
            sum += threads[i].errors[kind];
        }
        printf("%s\"%s\": %llu", kind == LOAD_NO_CONNECT ? ", \"errors\": {" : ", ",
               error_names[kind], (unsigned long long)sum);
    }
    printf("}");
    for (uint32_t i = 0; i < watched_count; i++) {
        printf("%s\"%s\": %llu", i == 0 ? ", \"watched_ns\": {" : ", ", watched[i].name,
               (unsigned long long)(watched[i].end_ns - watched[i].begin_ns));
    }
    printf("%s}\n", watched_count > 0 ? "}" : "");
}

int main(int argc, char **argv)
{
    pthread_t handles[LOAD_THREADS_MAX];
    uint64_t begun, span, own;

    signal(SIGPIPE, SIG_IGN);
    kit_init();
    kit_open_files();
    parse(argc, argv);
    if (idle) {
        return load_idle_run(&options);
    }
    start(handles);
    sleep_for(options.warmup);
    own = kit_cpu_ns(getpid());
    for (uint32_t i = 0; i < watched_count; i++) {
        watched[i].begin_ns = kit_cpu_ns(watched[i].pid);
    }
    begun = kit_now_ns();
    atomic_store(&load_phase, LOAD_MEASURING);
    sleep_for(options.seconds);
    atomic_store(&load_phase, LOAD_ENDED);
    span = kit_now_ns() - begun;
    for (uint32_t i = 0; i < watched_count; i++) {
        watched[i].end_ns = kit_cpu_ns(watched[i].pid);
    }
    own = kit_cpu_ns(getpid()) - own;
    for (uint32_t i = 0; i < thread_count; i++) {
        (void)pthread_join(handles[i], NULL);
    }
    report(span, own);
    return 0;
}
