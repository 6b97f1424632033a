/* The program `dataplane`: argv to supervisor_run(). */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/limits.h"
#include "abi/snapshot.h"
#include "worker/cpus.h"
#include "worker/log.h"
#include "worker/supervisor.h"

static const char help[] =
    "Usage: dataplane --control-socket PATH [options]\n"
    "\n"
    "Moves the traffic of a Ringmesh node: a supervisor and one worker per processor. It reads no\n"
    "configuration; a control plane tells it everything over the control socket, and it goes on\n"
    "with what it was last told while there is none.\n"
    "  --control-socket PATH  unix socket for the control plane (0600); PATH.lock is held\n"
    "  --workers N            worker processes, 1 to 64; default: one per processor\n"
    "  --cpus LIST            processors to run on, as 0-3 or 1,2; default: those allowed\n"
    "  --engine ENGINE        io_uring, epoll or auto (io_uring where the kernel allows it, else\n"
    "                         epoll, and the log says why); default auto\n"
    "  --drain-timeout MS     at shutdown, time for what is in flight; default 10000\n"
    "  --pid-file PATH        holds the supervisor's process number while it runs\n"
    "  --log-level LEVEL      trace, debug, info, warn or error; default info\n"
    "  --detach               run in a session of its own; returns once it can be connected to\n"
    "  --take-over FD         replace the data plane at the other end of this socket, which "
    "starts\n"
    "                         this program so when it is upgraded\n"
    "  --version              print version and stop\n"
    "  --help                 print this and stop\n"
    "The log is JSON lines on standard error. SIGTERM or SIGINT drains and ends; a second one "
    "cuts.\n"
    "Exit status: 0 ended as told; 64 wrong usage; 69 the kernel lacks or forbids something (the\n"
    "log says what); 70 a bug; 75 another data plane holds PATH.lock; 78 the control socket or "
    "the\n"
    "pid file cannot be made.\n";

static const struct option options[] = {
    {"control-socket", required_argument, NULL, 's'},
    {"workers", required_argument, NULL, 'w'},
    {"cpus", required_argument, NULL, 'c'},
    {"engine", required_argument, NULL, 'e'},
    {"drain-timeout", required_argument, NULL, 'd'},
    {"pid-file", required_argument, NULL, 'p'},
    {"log-level", required_argument, NULL, 'l'},
    {"detach", no_argument, NULL, 'D'},
    {"take-over", required_argument, NULL, 't'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

[[noreturn, gnu::format(printf, 1, 2)]] static void usage(const char *format, ...)
{
    va_list arguments;

    fputs("dataplane: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\nTry: dataplane --help\n", stderr);
    exit(SUPERVISOR_EXIT_USAGE);
}

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || strlen(text) > 12 || value < least ||
        value > most) {
        usage("--%s: expected %llu to %llu, got '%s'", option, (unsigned long long)least,
              (unsigned long long)most, text);
    }
    return value;
}

static enum ring_engine_kind engine(const char *text)
{
    static const struct {
        const char *name;
        enum ring_engine_kind kind;
    } engines[] = {
        {"auto", RING_ENGINE_AUTO},
        {"io_uring", RING_ENGINE_URING},
        {"epoll", RING_ENGINE_EPOLL},
    };

    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (strcmp(text, engines[i].name) == 0) {
            return engines[i].kind;
        }
    }
    usage("--engine: expected auto, io_uring or epoll, got '%s'", text);
}

static void take(int name, struct supervisor_config *config)
{
    enum log_level level;

    switch (name) {
    case 's':
        config->control_socket = optarg;
        break;
    case 'w':
        config->workers = (uint32_t)number("workers", optarg, 1, LIMIT_WORKERS);
        break;
    case 'c':
        if (!cpus_parse(optarg, &config->cpus)) {
            usage("--cpus: expected a list as 0-3 or 1,2, got '%s'", optarg);
        }
        break;
    case 'e':
        config->engine = engine(optarg);
        break;
    case 'd':
        config->drain_timeout_ms = number("drain-timeout", optarg, 0, 86400000);
        break;
    case 'p':
        config->pid_file = optarg;
        break;
    case 'l':
        if (!log_parse_level(optarg, &level)) {
            usage("--log-level: expected trace, debug, info, warn or error, got '%s'", optarg);
        }
        log_set_level(level);
        break;
    case 'D':
        config->detach = true;
        break;
    case 't':
        config->take_over = (int)number("take-over", optarg, 3, 1000000);
        break;
    case 'V':
        printf("dataplane %s (abi %u)\n", SUPERVISOR_VERSION, ABI_VERSION);
        exit(SUPERVISOR_EXIT_OK);
    case 'h':
        fputs(help, stdout);
        exit(SUPERVISOR_EXIT_OK);
    default: /* getopt_long() has said what is wrong */
        fputs("Try: dataplane --help\n", stderr);
        exit(SUPERVISOR_EXIT_USAGE);
    }
}

int main(int argc, char **argv)
{
    struct supervisor_config config = {.drain_timeout_ms = 10000, .take_over = -1};
    int name;

    while ((name = getopt_long(argc, argv, "", options, NULL)) != -1) {
        take(name, &config);
    }
    if (optind < argc) {
        usage("unexpected argument '%s'", argv[optind]);
    }
    if (config.control_socket == NULL || config.control_socket[0] == '\0') {
        usage("--control-socket is required");
    }
    if (config.cpus.count == 0 && !cpus_allowed(&config.cpus)) {
        usage("--cpus is required: this process may run on no processor that it can see");
    }
    if (config.workers == 0) {
        config.workers = config.cpus.count;
    }
    if (config.take_over >= 0 && (config.detach || fcntl(config.take_over, F_GETFD) < 0)) {
        usage("--take-over is for a running data plane to use, and not with --detach");
    }
    return supervisor_run(&config);
}
