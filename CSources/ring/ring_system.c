/* What the engines ask of the kernel beside their own calls: pages, the clocks, how a socket ends.
 */
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "base/must.h"
#include "ring_parts.h"

void *ring_pages(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

void ring_pages_release(void *at, size_t size)
{
    if (at != NULL) {
        MUST(munmap(at, size) == 0);
    }
}

void ring_read_clock(struct ring *ring)
{
    struct timespec now;

    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    ring->now_ns = (uint64_t)now.tv_sec * RING_NS + (uint64_t)now.tv_nsec;
}

int64_t ring_wall_s(const struct ring *ring)
{
    struct timespec now;

    (void)ring;
    MUST(clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0);
    return now.tv_sec;
}

void ring_will_reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* not a socket: no RST */
}
