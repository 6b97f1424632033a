/* usage: sim [--seed N] [--runs M] [--scenario NAME] [--list]
 *
 * Runs every scenario with the seeds N, N+1, … N+M-1 (the default seed is the time). A scenario
 * that fails is named with the command that repeats it. First the canaries: they must fail. Last
 * line: `N passed, N failed`. Exit code 0, 1 (failures), 64 (usage), 70 (a canary did not fail). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/must.h"
#include "sim_world.h"

#define SIM_CANARY_RUNS  20
#define SIM_REPEAT_EVERY 16

static struct sim_scenario *scenarios;
static const struct sim_scenario *running;
static uint64_t running_seed;

void sim_register(struct sim_scenario *scenario)
{
    struct sim_scenario **at = &scenarios;

    while (*at != NULL &&
           strcmp((*at)->name, scenario->name) < 0) { /* by name: link order varies */
        at = &(*at)->next;
    }
    scenario->next = *at;
    *at = scenario;
}

/* A broken invariant ends the program: its last words say how to come here again. */
static void sim_last_words(void)
{
    if (running != NULL) {
        fprintf(stderr, "repeat: tools/sim --scenario %s --seed %llu --runs 1\n", running->name,
                (unsigned long long)running_seed);
    }
}

static bool sim_run_once(const struct sim_scenario *scenario, uint64_t seed, uint64_t *digest)
{
    bool passed;

    running = scenario;
    running_seed = seed;
    sim_start(seed, NULL);
    scenario->run();
    passed = !sim_failed();
    *digest = sim->digest ^ sim->now_ns;
    sim_end();
    running = NULL;
    return passed;
}

/* Now and then twice: a seed that does not repeat a run is worth nothing. */
static bool sim_run_seed(const struct sim_scenario *scenario, uint64_t seed)
{
    uint64_t first;
    uint64_t second;
    bool passed = sim_run_once(scenario, seed, &first);

    if (!passed || seed % SIM_REPEAT_EVERY != 0) {
        return passed;
    }
    passed = sim_run_once(scenario, seed, &second);
    if (first != second) {
        fprintf(stderr,
                "seed %llu: two runs differ: something asks the clock, an address or the "
                "system\n",
                (unsigned long long)seed);
    }
    return passed && first == second;
}

/* A harness that cannot fail proves nothing. */
static bool sim_canaries_fail(uint64_t seed)
{
    for (const struct sim_scenario *scenario = scenarios; scenario != NULL;
         scenario = scenario->next) {
        bool failed = !scenario->must_fail;
        uint64_t digest;

        for (uint64_t run = 0; run < SIM_CANARY_RUNS && !failed; run++) {
            failed = !sim_run_once(scenario, seed + run, &digest);
        }
        if (!failed) {
            fprintf(stderr, "sim: canary %s did not fail from seed %llu on\n", scenario->name,
                    (unsigned long long)seed);
            return false;
        }
    }
    return true;
}

struct sim_options {
    uint64_t seed;
    uint64_t runs;
    const char *only;
    bool list;
};

static bool sim_parse(int argc, char **argv, struct sim_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(argv[i], "--list") == 0) {
            options->list = true;
            continue;
        }
        if (value == NULL) {
            return false;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            options->seed = strtoull(value, NULL, 0);
        } else if (strcmp(argv[i], "--runs") == 0) {
            options->runs = strtoull(value, NULL, 0);
        } else if (strcmp(argv[i], "--scenario") == 0) {
            options->only = value;
        } else {
            return false;
        }
        i++;
    }
    return true;
}

static int sim_run_all(const struct sim_options *options)
{
    uint64_t passed = 0;
    uint64_t failed = 0;

    for (const struct sim_scenario *scenario = scenarios; scenario != NULL;
         scenario = scenario->next) {
        if (options->only != NULL ? strcmp(options->only, scenario->name) != 0
                                  : scenario->must_fail) {
            continue;
        }
        for (uint64_t run = 0; run < options->runs; run++) {
            uint64_t seed = options->seed + run;

            if (sim_run_seed(scenario, seed)) {
                passed++;
                continue;
            }
            failed++;
            printf("FAILED %s: tools/sim --scenario %s --seed %llu --runs 1\n", scenario->name,
                   scenario->name, (unsigned long long)seed);
        }
    }
    if (passed + failed == 0) {
        fprintf(stderr, "sim: no such scenario: %s\n", options->only);
        return 64;
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct timespec now;
    struct sim_options options = {.runs = 100};

    clock_gettime(CLOCK_REALTIME, &now);
    options.seed = (uint64_t)now.tv_sec;
    if (!sim_parse(argc, argv, &options)) {
        fprintf(stderr, "usage: sim [--seed N] [--runs M] [--scenario NAME] [--list]\n");
        return 64;
    }
    for (const struct sim_scenario *scenario = scenarios; options.list && scenario != NULL;
         scenario = scenario->next) {
        printf("%s%s\n", scenario->name, scenario->must_fail ? " (canary)" : "");
    }
    if (options.list) {
        return 0;
    }
    must_set_hook(sim_last_words);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seeds %llu to %llu\n", (unsigned long long)options.seed,
           (unsigned long long)(options.seed + options.runs - 1));
    if (options.only == NULL) {
        fprintf(stderr, "(canaries: the next failures are wanted)\n");
        if (!sim_canaries_fail(options.seed)) {
            return 70;
        }
        fprintf(stderr, "(end of canaries)\n");
    }
    return sim_run_all(&options);
}
