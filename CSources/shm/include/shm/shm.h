/* What processes of one machine hand each other: sealed memory files, and packets that carry
 * descriptors. Plain system calls for the supervisor, the workers and, imported by Swift, for the
 * control plane, which sees neither memfd_create nor the CMSG macros. Knows no layouts.
 *
 * Every function returns -errno on failure. Descriptors are close-on-exec. */
#ifndef SHM_SHM_H
#define SHM_SHM_H

#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* --- memory files --- */

enum shm_seal {
    SHM_SEAL_SIZE = 1,  /* neither shrinks nor grows */
    SHM_SEAL_BYTES = 2, /* nobody writes any more; every writable mapping must be gone */
};

/* A memory file of `size` zero bytes that can be sealed. Descriptor or -errno. */
[[nodiscard]] int shm_create(const char *name, size_t size);

/* Adds the seals (a set of enum shm_seal) and forbids further ones. 0 or -errno; -EBUSY: a writable
 * mapping is left. */
[[nodiscard]] int shm_seal(int fd, int seals);

/* The set of enum shm_seal in force; 0 for a file that is not a memory file. */
int shm_seals(int fd);

/* Bytes of the file or -errno. */
[[nodiscard]] int64_t shm_size(int fd);

/* --- packets --- */

#define SHM_DESCRIPTORS 32 /* in one packet */

struct shm_descriptors {
    uint32_t count;
    int fds[SHM_DESCRIPTORS];
};

/* A connected, non-blocking SEQPACKET socket, or -errno. -EINVAL: the path is too long. */
[[nodiscard]] int shm_connect(const char *path);

/* Effective user and process of the other end at the time it connected. 0 or -errno. */
[[nodiscard]] int shm_peer(int fd, uint32_t *uid, uint32_t *pid);

/* One packet, without blocking: 0; -EAGAIN: the peer does not read; other -errno: it is gone. The
 * descriptors stay the caller's. */
[[nodiscard]] int shm_send(int fd, const void *bytes, size_t length, const int *fds,
                           uint32_t count);

/* One packet, without blocking: its length, 0 when the peer has left, or -errno. -EAGAIN: nothing
 * there; -EMSGSIZE: longer than `capacity` or with more descriptors than fit, all of it is dropped.
 * Descriptors received are the caller's. */
[[nodiscard]] ssize_t shm_receive(int fd, void *bytes, size_t capacity,
                                  struct shm_descriptors *descriptors);

/* Closes the descriptors that are not negative. */
void shm_close(struct shm_descriptors *descriptors);

/* --- processes --- */

/* A program started with `actions` gets no descriptor from `first` on. 0 or -errno. */
[[nodiscard]] int shm_spawn_close_from(posix_spawn_file_actions_t *actions, int first);

#endif
