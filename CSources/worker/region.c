#include "region.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/shm.h"

int region_create(const char *name, size_t size, struct region *out)
{
    int fd = shm_create(name, size);
    void *base;
    int err;

    if (fd < 0) {
        return fd;
    }
    err = shm_seal(fd, SHM_SEAL_SIZE);
    if (err != 0) {
        close(fd);
        return err;
    }
    base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        err = -errno;
        close(fd);
        return err;
    }
    *out = (struct region){.base = base, .size = size};
    return fd;
}

enum abi_refusal region_check(int fd, uint64_t limit, size_t *size)
{
    int64_t found;

    if (shm_seals(fd) != (SHM_SEAL_SIZE | SHM_SEAL_BYTES)) {
        return ABI_REFUSAL_SEAL;
    }
    found = shm_size(fd);
    if (found <= 0 || (uint64_t)found > limit) {
        return ABI_REFUSAL_SIZE;
    }
    *size = (size_t)found;
    return ABI_REFUSAL_NONE;
}

int region_map(int fd, size_t size, bool secret, struct region *out)
{
    /* Private, because kernels before 6.7 refuse a shared mapping of a file sealed against writing;
     * the pages are the same as long as nobody writes, and nobody can. */
    void *base = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    int err;

    if (base == MAP_FAILED) {
        return -errno;
    }
    if (secret && madvise(base, size, MADV_DONTDUMP) != 0) {
        err = -errno;
        munmap(base, size);
        return err;
    }
    *out = (struct region){.base = base, .size = size};
    return 0;
}

int region_share(int fd, size_t size, struct region *out)
{
    void *base = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        return -errno;
    }
    *out = (struct region){.base = base, .size = size};
    return 0;
}

int region_protect(const struct region *region)
{
    return mprotect(region->base, region->size, PROT_READ) == 0 ? 0 : -errno;
}

void region_unmap(struct region *region)
{
    if (region->base != NULL) {
        munmap(region->base, region->size);
    }
    *region = (struct region){.base = NULL, .size = 0};
}

void region_forget(void *memory, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)memory + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(page - 1);

    if (begin < end) {
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}
