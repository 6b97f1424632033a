#include "worker/cpus.h"

#include <sched.h>
#include <stdio.h>

#include "base/must.h"

/* A decimal number at *at, which is moved behind it. */
static bool cpus_number(const char **at, uint32_t *out)
{
    uint32_t value = 0;
    const char *start = *at;

    while (**at >= '0' && **at <= '9' && *at - start < 5) {
        value = value * 10 + (uint32_t)(**at - '0');
        (*at)++;
    }
    *out = value;
    return *at > start;
}

/* Two workers on one processor would share it while another is idle: no processor stands twice. */
static bool cpus_add(struct cpus *cpus, uint32_t cpu)
{
    for (uint32_t i = 0; i < cpus->count; i++) {
        if (cpus->list[i] == cpu) {
            return false;
        }
    }
    cpus->list[cpus->count++] = cpu;
    return true;
}

bool cpus_parse(const char *text, struct cpus *out)
{
    const char *at = text;

    out->count = 0;
    do {
        uint32_t first, last;

        if (!cpus_number(&at, &first)) {
            return false;
        }
        last = first;
        if (*at == '-') {
            at++;
            if (!cpus_number(&at, &last)) {
                return false;
            }
        }
        if (last < first || last >= CPU_SETSIZE || last - first >= LIMIT_WORKERS - out->count) {
            return false;
        }
        for (uint32_t cpu = first; cpu <= last; cpu++) {
            if (!cpus_add(out, cpu)) {
                return false;
            }
        }
    } while (*at++ == ',');
    return at[-1] == '\0';
}

void cpus_text(const struct cpus *cpus, char out[CPUS_TEXT])
{
    size_t length = 0;

    _Static_assert(CPU_SETSIZE <= 10000, "at most four digits and a comma each");
    out[0] = '\0';
    for (uint32_t i = 0; i < cpus->count; i++) {
        int added =
            snprintf(out + length, CPUS_TEXT - length, "%s%u", i > 0 ? "," : "", cpus->list[i]);

        MUST(added > 0);
        length += (size_t)added;
        MUST(length < CPUS_TEXT);
    }
}

bool cpus_allowed(struct cpus *out)
{
    cpu_set_t set;

    out->count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return false;
    }
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && out->count < LIMIT_WORKERS; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            out->list[out->count++] = cpu;
        }
    }
    return out->count > 0;
}

bool cpus_pin(const struct cpus *cpus, uint32_t slot)
{
    cpu_set_t set;

    MUST(cpus->count > 0);
    CPU_ZERO(&set);
    CPU_SET(cpus->list[slot % cpus->count], &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

bool cpus_spare(const struct cpus *cpus, uint32_t workers)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return false;
    }
    for (uint32_t slot = 0; slot < workers && slot < cpus->count; slot++) {
        CPU_CLR(cpus->list[slot], &set);
    }
    return CPU_COUNT(&set) > 0 && sched_setaffinity(0, sizeof(set), &set) == 0;
}
