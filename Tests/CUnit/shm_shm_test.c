#include "shm/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cunit.h"

static void make_pair(int pair[2])
{
    CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

/* How many descriptors this process has open. */
static uint32_t open_descriptors(void)
{
    uint32_t count = 0;

    for (int fd = 0; fd < 512; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1u : 0u;
    }
    return count;
}

TEST(a_new_file_has_its_size_and_no_seal)
{
    int fd = shm_create("cunit", 12345);

    CHECK(fd >= 0);
    CHECK_INT(shm_size(fd), 12345);
    CHECK_INT(shm_seals(fd), 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    close(fd);
}

TEST(a_sealed_file_cannot_change)
{
    int fd = shm_create("cunit", 4096);

    CHECK_INT(write(fd, "x", 1), 1);
    CHECK_INT(shm_seal(fd, SHM_SEAL_SIZE | SHM_SEAL_BYTES), 0);
    CHECK_INT(shm_seals(fd), SHM_SEAL_SIZE | SHM_SEAL_BYTES);
    CHECK_INT(write(fd, "y", 1), -1);
    CHECK_INT(ftruncate(fd, 1), -1);
    CHECK_INT(ftruncate(fd, 8192), -1);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK_INT(shm_seal(fd, 0), -EPERM); /* no further seal either */
    close(fd);
}

TEST(a_file_sealed_in_size_can_be_written)
{
    int fd = shm_create("cunit", 4096);

    CHECK_INT(shm_seal(fd, SHM_SEAL_SIZE), 0);
    CHECK_INT(shm_seals(fd), SHM_SEAL_SIZE);
    CHECK_INT(write(fd, "y", 1), 1);
    CHECK_INT(ftruncate(fd, 1), -1);
    close(fd);
}

TEST(a_writable_mapping_keeps_a_file_from_being_sealed)
{
    int fd = shm_create("cunit", 4096);
    void *base = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    CHECK_INT(shm_seal(fd, SHM_SEAL_SIZE | SHM_SEAL_BYTES), -EBUSY);
    munmap(base, 4096);
    CHECK_INT(shm_seal(fd, SHM_SEAL_SIZE | SHM_SEAL_BYTES), 0);
    close(fd);
}

TEST(other_files_have_no_seals)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK_INT(shm_seals(fd), 0);
    CHECK_INT(shm_seals(-1), 0);
    CHECK_INT(shm_size(-1), -EBADF);
    close(fd);
}

TEST(a_packet_carries_bytes_and_descriptors)
{
    struct shm_descriptors got = {0};
    char bytes[16] = "";
    int pair[2], file = shm_create("cunit", 77);

    make_pair(pair);
    CHECK_INT(shm_send(pair[0], "hello", 5, &file, 1), 0);
    CHECK_INT(shm_receive(pair[1], bytes, sizeof(bytes), &got), 5);
    CHECK_INT(memcmp(bytes, "hello", 5), 0);
    CHECK_UINT(got.count, 1);
    CHECK(got.fds[0] != file);
    CHECK_INT(shm_size(got.fds[0]), 77);
    CHECK((fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    shm_close(&got);
    CHECK_UINT(got.count, 0);
    CHECK_INT(shm_receive(pair[1], bytes, sizeof(bytes), &got), -EAGAIN);
    close(pair[0]);
    CHECK_INT(shm_receive(pair[1], bytes, sizeof(bytes), &got), 0);
    close(pair[1]);
    close(file);
}

TEST(as_many_descriptors_as_fit_and_one_more)
{
    struct shm_descriptors got = {0};
    int pair[2], files[SHM_DESCRIPTORS + 1];
    uint32_t before;
    char bytes[4];

    make_pair(pair);
    for (int i = 0; i <= SHM_DESCRIPTORS; i++) {
        files[i] = pair[0];
    }
    CHECK_INT(shm_send(pair[0], "x", 1, files, SHM_DESCRIPTORS + 1), -EINVAL);
    before = open_descriptors();
    CHECK_INT(shm_send(pair[0], "x", 1, files, SHM_DESCRIPTORS), 0);
    CHECK_INT(shm_receive(pair[1], bytes, sizeof(bytes), &got), 1);
    CHECK_UINT(got.count, SHM_DESCRIPTORS);
    CHECK_UINT(open_descriptors(), before + SHM_DESCRIPTORS);
    shm_close(&got);
    CHECK_UINT(open_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

/* A sender that is not ours puts more into a packet than this side takes. */
TEST(a_packet_with_too_many_descriptors_is_dropped_whole)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE((SHM_DESCRIPTORS + 8) * sizeof(int))];
    } control;
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    struct shm_descriptors got = {0};
    uint32_t before;
    int pair[2];

    make_pair(pair);
    before = open_descriptors();
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN((SHM_DESCRIPTORS + 8) * sizeof(int));
    for (size_t i = 0; i < SHM_DESCRIPTORS + 8; i++) {
        memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &pair[0], sizeof(int));
    }
    CHECK_INT(sendmsg(pair[0], &message, 0), 1);
    CHECK_INT(shm_receive(pair[1], &byte, 1, &got), -EMSGSIZE);
    CHECK_UINT(got.count, 0);
    CHECK_UINT(open_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

TEST(a_packet_that_is_too_long_is_dropped_with_its_descriptors)
{
    struct shm_descriptors got = {0};
    uint8_t *room = cunit_guarded_room(8);
    uint32_t before;
    int pair[2];

    make_pair(pair);
    before = open_descriptors();
    CHECK_INT(shm_send(pair[0], "12345678", 8, &pair[0], 1), 0);
    CHECK_INT(shm_receive(pair[1], room, 8, &got), 8);
    shm_close(&got);
    CHECK_INT(shm_send(pair[0], "123456789", 9, &pair[0], 1), 0);
    CHECK_INT(shm_receive(pair[1], room, 8, &got), -EMSGSIZE);
    CHECK_UINT(open_descriptors(), before);
    close(pair[0]);
    close(pair[1]);
}

/* The receiver may open no further file: the kernel drops what does not fit and says so. */
TEST(descriptors_lost_to_a_full_table_drop_the_packet)
{
    struct shm_descriptors got = {0};
    struct rlimit before, tight;
    int pair[2], highest;
    char byte;

    make_pair(pair);
    highest = pair[0] > pair[1] ? pair[0] : pair[1];
    CHECK_INT(shm_send(pair[0], "x", 1, (int[]){pair[0], pair[0]}, 2), 0);
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)highest + 1;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &tight), 0);
    CHECK_INT(shm_receive(pair[1], &byte, 1, &got), -EMSGSIZE);
    CHECK_UINT(got.count, 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(pair[0]);
    close(pair[1]);
}

TEST(sending_never_blocks)
{
    static const char page[4096];
    int pair[2], err = 0;
    uint32_t sent = 0;

    make_pair(pair);
    while (err == 0 && sent < 100000) {
        err = shm_send(pair[0], page, sizeof(page), NULL, 0);
        sent++;
    }
    CHECK_INT(err, -EAGAIN);
    close(pair[1]);
    err = shm_send(pair[0], page, sizeof(page), NULL, 0);
    CHECK(err == -EPIPE || err == -ECONNRESET);
    close(pair[0]);
}

TEST(the_peer_of_a_pair_is_this_process)
{
    uint32_t uid = 99, pid = 0;
    int pair[2];

    make_pair(pair);
    CHECK_INT(shm_peer(pair[0], &uid, &pid), 0);
    CHECK_UINT(uid, geteuid());
    CHECK_UINT(pid, (uint32_t)getpid());
    close(pair[0]);
    close(pair[1]);
    CHECK_INT(shm_peer(-1, &uid, &pid), -EBADF);
}

TEST(connecting_says_what_is_wrong_with_a_path)
{
    char path[200];

    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK_INT(shm_connect(path), -EINVAL);
    path[108] = '\0';
    CHECK_INT(shm_connect(path), -EINVAL);
    path[107] = '\0';
    CHECK_INT(shm_connect(path), -ENOENT);
    CHECK_INT(shm_connect(""), -EINVAL);
}
