#include "shm/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int shm_create(const char *name, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int err;

    if (fd < 0) {
        return -errno;
    }
    if (ftruncate(fd, (off_t)size) != 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int shm_seal(int fd, int seals)
{
    int wanted = F_SEAL_SEAL;

    if ((seals & SHM_SEAL_SIZE) != 0) {
        wanted |= F_SEAL_SHRINK | F_SEAL_GROW;
    }
    if ((seals & SHM_SEAL_BYTES) != 0) {
        wanted |= F_SEAL_WRITE;
    }
    return fcntl(fd, F_ADD_SEALS, wanted) == 0 ? 0 : -errno;
}

int shm_seals(int fd)
{
    int found = fcntl(fd, F_GET_SEALS);
    int seals = 0;

    if (found < 0) {
        return 0;
    }
    if ((found & F_SEAL_SHRINK) != 0 && (found & F_SEAL_GROW) != 0) {
        seals |= SHM_SEAL_SIZE;
    }
    if ((found & F_SEAL_WRITE) != 0) {
        seals |= SHM_SEAL_BYTES;
    }
    return seals;
}

int64_t shm_size(int fd)
{
    struct stat about;

    if (fstat(fd, &about) != 0) {
        return -errno;
    }
    return about.st_size;
}

int shm_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    int fd, err;

    if (length == 0 || length >= sizeof(address.sun_path)) {
        return -EINVAL;
    }
    memcpy(address.sun_path, path, length);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int shm_peer(int fd, uint32_t *uid, uint32_t *pid)
{
    struct ucred credentials;
    socklen_t length = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
        return -errno;
    }
    *uid = credentials.uid;
    *pid = (uint32_t)credentials.pid;
    return 0;
}

/* Room for the descriptors of one packet, aligned as the kernel's headers want it. */
union shm_control {
    struct cmsghdr align;
    char room[CMSG_SPACE(SHM_DESCRIPTORS * sizeof(int))];
};

int shm_send(int fd, const void *bytes, size_t length, const int *fds, uint32_t count)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union shm_control control = {.room = {0}};

    if (count > SHM_DESCRIPTORS) {
        return -EINVAL;
    }
    if (count > 0) {
        struct cmsghdr *head = &control.align;
        size_t size = count * sizeof(int);

        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(head), fds, size);
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(size);
    }
    while (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

/* Takes over every descriptor that came with `message`; false when not all fit. */
static bool shm_collect(struct msghdr *message, struct shm_descriptors *out)
{
    bool fits = true;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = CMSG_NXTHDR(message, head)) {
        size_t count;

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
            if (out->count < SHM_DESCRIPTORS) {
                out->fds[out->count++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }
    return fits;
}

ssize_t shm_receive(int fd, void *bytes, size_t capacity, struct shm_descriptors *descriptors)
{
    struct iovec part = {.iov_base = bytes, .iov_len = capacity};
    union shm_control control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    ssize_t length;
    bool fits;

    descriptors->count = 0;
    do {
        length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        return -errno;
    }
    fits = shm_collect(&message, descriptors);
    if (!fits || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        shm_close(descriptors);
        return -EMSGSIZE;
    }
    if (length == 0) {
        shm_close(descriptors);
    }
    return length;
}

void shm_close(struct shm_descriptors *descriptors)
{
    for (uint32_t i = 0; i < descriptors->count; i++) {
        if (descriptors->fds[i] >= 0) {
            close(descriptors->fds[i]);
        }
    }
    descriptors->count = 0;
}

int shm_spawn_close_from(posix_spawn_file_actions_t *actions, int first)
{
    return -posix_spawn_file_actions_addclosefrom_np(actions, first);
}
