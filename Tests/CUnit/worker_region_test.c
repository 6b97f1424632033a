#include "worker/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cunit.h"
#include "shm/shm.h"

static int sealed_file(size_t size, int seals)
{
    int fd = shm_create("cunit", size);

    if (seals != 0) {
        CHECK_INT(shm_seal(fd, seals), 0);
    }
    return fd;
}

TEST(a_made_region_is_zero_shared_and_of_fixed_size)
{
    struct region region;
    int fd = region_create("cunit", 10000, &region);
    char byte = 0;

    CHECK(fd >= 0);
    CHECK_UINT(region.size, 10000);
    CHECK_INT(memcmp(region.base, (char[100]){0}, 100), 0);
    ((char *)region.base)[9999] = 'x';
    CHECK_INT(pread(fd, &byte, 1, 9999), 1);
    CHECK_INT(byte, 'x');
    CHECK_INT(ftruncate(fd, 5000), -1);
    CHECK_INT(region_protect(&region), 0);
    region_unmap(&region);
    CHECK(region.base == NULL);
    region_unmap(&region);
    close(fd);
}

TEST(only_a_sealed_file_is_taken)
{
    const int seals[] = {0, SHM_SEAL_SIZE, SHM_SEAL_BYTES, SHM_SEAL_SIZE | SHM_SEAL_BYTES};
    const enum abi_refusal expected[] = {ABI_REFUSAL_SEAL, ABI_REFUSAL_SEAL, ABI_REFUSAL_SEAL,
                                         ABI_REFUSAL_NONE};

    for (int i = 0; i < 4; i++) {
        int fd = sealed_file(100, seals[i]);
        size_t size = 0;

        cunit_context("seals %d", seals[i]);
        CHECK_INT(region_check(fd, 1000, &size), expected[i]);
        CHECK_UINT(size, expected[i] == ABI_REFUSAL_NONE ? 100 : 0);
        close(fd);
    }
}

TEST(what_is_no_memory_file_is_not_sealed)
{
    int fds[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    size_t size = 0;

    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    CHECK_INT(region_check(fds[0], 1000, &size), ABI_REFUSAL_SEAL);
    CHECK_INT(region_check(null, 1000, &size), ABI_REFUSAL_SEAL);
    CHECK_INT(region_check(-1, 1000, &size), ABI_REFUSAL_SEAL);
    close(fds[0]);
    close(fds[1]);
    close(null);
}

TEST(sizes_around_the_limit)
{
    const size_t sizes[] = {0, 1, 999, 1000, 1001};
    const enum abi_refusal expected[] = {ABI_REFUSAL_SIZE, ABI_REFUSAL_NONE, ABI_REFUSAL_NONE,
                                         ABI_REFUSAL_NONE, ABI_REFUSAL_SIZE};

    for (int i = 0; i < 5; i++) {
        int fd = sealed_file(sizes[i], SHM_SEAL_SIZE | SHM_SEAL_BYTES);
        size_t size = 0;

        cunit_context("%zu bytes", sizes[i]);
        CHECK_INT(region_check(fd, 1000, &size), expected[i]);
        close(fd);
    }
}

TEST(a_sealed_file_is_mapped_for_reading)
{
    int fd = shm_create("cunit", 8192);
    struct region region;

    CHECK_INT(pwrite(fd, "text", 4, 4096), 4);
    CHECK_INT(shm_seal(fd, SHM_SEAL_SIZE | SHM_SEAL_BYTES), 0);
    for (int secret = 0; secret < 2; secret++) {
        CHECK_INT(region_map(fd, 8192, secret != 0, &region), 0);
        CHECK_INT(memcmp((char *)region.base + 4096, "text", 4), 0);
        CHECK_INT(mprotect(region.base, 8192, PROT_READ), 0);
        region_unmap(&region);
    }
    close(fd);
    CHECK_INT(region_map(fd, 8192, false, &region), -EBADF);
}

/* Secrets must not reach a core dump: the kernel marks such a mapping "dd" in smaps. */
TEST(a_secret_mapping_is_kept_out_of_core_dumps)
{
    int fd = shm_create("cunit-secret-mapping", 4096);
    char line[512];
    struct region region;
    bool inside = false, marked = false;
    FILE *smaps;

    CHECK_INT(shm_seal(fd, SHM_SEAL_SIZE | SHM_SEAL_BYTES), 0);
    CHECK_INT(region_map(fd, 4096, true, &region), 0);
    smaps = fopen("/proc/self/smaps", "re");
    if (!CHECK(smaps != NULL)) {
        return;
    }
    while (fgets(line, sizeof(line), smaps) != NULL) {
        if (strstr(line, "cunit-secret-mapping") != NULL) {
            inside = true;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            marked = strstr(line, " dd") != NULL;
            break;
        }
    }
    fclose(smaps);
    CHECK(inside);
    CHECK(marked);
    region_unmap(&region);
    close(fd);
}

/* Whole pages inside are gone, the ends of it and what lies beside stay. */
TEST(forgotten_memory_reads_as_zeros)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory =
        mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(memory != MAP_FAILED);
    memset(memory, 'x', 4 * page);
    region_forget(memory + 1, page - 2); /* no whole page */
    CHECK_INT(memory[page / 2], 'x');
    region_forget(memory + 1, 3 * page); /* the second and the third */
    CHECK_INT(memory[page - 1], 'x');
    CHECK_INT(memory[page], 0);
    CHECK_INT(memory[3 * page - 1], 0);
    CHECK_INT(memory[3 * page], 'x');
    region_forget(memory, 4 * page);
    CHECK_INT(memory[0], 0);
    CHECK_INT(memory[4 * page - 1], 0);
    CHECK_INT(munmap(memory, 4 * page), 0);
}
