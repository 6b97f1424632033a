#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "base/num.h"

#define SOCKETS_BACKLOG 4096 /* cut by net.core.somaxconn */

void sockets_init(struct sockets *sockets, uint32_t slots)
{
    MUST(slots >= 1);
    MUST(slots <= LIMIT_WORKERS);
    sockets->slots = slots;
    sockets->count = 0;
    sockets->recent_count = 0;
    sockets->open_slots = slots == 64 ? UINT64_MAX : (1ULL << slots) - 1;
}

[[gnu::format(printf, 2, 3)]] static bool sockets_fail(char *reason, const char *format, ...)
{
    va_list arguments;

    memset(reason, 0, LIMIT_REASON);
    va_start(arguments, format);
    vsnprintf(reason, LIMIT_REASON, format, arguments);
    va_end(arguments);
    return false;
}

void sockets_text(const struct sockaddr_storage *address, char out[SOCKETS_TEXT])
{
    const struct sockaddr_in *ip4 = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)(const void *)address;
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)address;
    char ip[INET6_ADDRSTRLEN] = "";

    switch (address->ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &ip4->sin_addr, ip, sizeof(ip));
        snprintf(out, SOCKETS_TEXT, "%s:%u", ip, ntohs(ip4->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &ip6->sin6_addr, ip, sizeof(ip));
        snprintf(out, SOCKETS_TEXT, "[%s]:%u", ip, ntohs(ip6->sin6_port));
        break;
    default:
        snprintf(out, SOCKETS_TEXT, "%s", local->sun_path);
        break;
    }
}

static bool sockets_fail_entry(const struct sockets_entry *entry, int err, char *reason)
{
    char text[SOCKETS_TEXT];

    sockets_text(&entry->address, text);
    return sockets_fail(reason, "listener %s: %s: %s", entry->name, text, strerror(err));
}

/* The socket address of a record. false and `reason` when there is none. */
static bool sockets_address(const struct view *view, const struct abi_listener *listener,
                            struct sockets_entry *entry, char *reason)
{
    const struct abi_address *from = &listener->address;
    struct bytes path = view_text(view, from->path);
    struct sockaddr_in *ip4 = (struct sockaddr_in *)(void *)&entry->address;
    struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)(void *)&entry->address;
    struct sockaddr_un *local = (struct sockaddr_un *)(void *)&entry->address;

    if (from->family != ABI_FAMILY_UNIX && from->port == 0) {
        return sockets_fail(reason, "listener %s: port 0 cannot be shared by workers", entry->name);
    }
    switch (from->family) {
    case ABI_FAMILY_IP4:
        ip4->sin_family = AF_INET;
        ip4->sin_port = htons(from->port);
        memcpy(&ip4->sin_addr, from->ip, 4);
        entry->length = sizeof(*ip4);
        return true;
    case ABI_FAMILY_IP6:
        ip6->sin6_family = AF_INET6;
        ip6->sin6_port = htons(from->port);
        memcpy(&ip6->sin6_addr, from->ip, 16);
        entry->length = sizeof(*ip6);
        return true;
    case ABI_FAMILY_UNIX:
        if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof(local->sun_path)) {
            return sockets_fail(reason,
                                "listener %s: a unix socket needs an absolute path of at "
                                "most %zu bytes",
                                entry->name, sizeof(local->sun_path) - 1);
        }
        local->sun_family = AF_UNIX;
        memcpy(local->sun_path, path.ptr, path.len);
        entry->length = sizeof(*local);
        entry->mode = from->mode;
        return true;
    default:
        return sockets_fail(reason, "listener %s has no address", entry->name);
    }
}

static bool sockets_is_unix(const struct sockets_entry *entry)
{
    return entry->address.ss_family == AF_UNIX;
}

/* A bound socket or -errno. Without `share` nobody else may hold the address: SO_REUSEPORT alone
 * would let another program of the same user take part of the clients unnoticed. */
static int sockets_bind(const struct sockets_entry *entry, bool share)
{
    int fd = socket(entry->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    int err;

    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        (entry->address.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, (const struct sockaddr *)&entry->address, entry->length) != 0) {
        err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

/* Removes the file of a unix socket on which nobody listens any more. */
static void sockets_sweep(const struct sockets_entry *entry)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)&entry->address;
    struct stat about;
    int fd;

    if (lstat(local->sun_path, &about) != 0 || !S_ISSOCK(about.st_mode)) {
        return;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)local, sizeof(*local)) != 0 && errno == ECONNREFUSED) {
        unlink(local->sun_path);
    }
    close(fd);
}

/* A bound unix socket whose file has the wanted permissions from its first moment, or -errno. */
static int sockets_bind_unix(struct sockets_entry *entry)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)&entry->address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat about;
    mode_t before;
    int err = 0;

    if (fd < 0) {
        return -errno;
    }
    sockets_sweep(entry);
    before = umask(0);
    if (fchmod(fd, entry->mode & 0777u) != 0 ||
        bind(fd, (const struct sockaddr *)local, sizeof(*local)) != 0) {
        err = -errno;
    }
    umask(before);
    if (err == 0 && lstat(local->sun_path, &about) != 0) {
        err = -errno;
    }
    if (err != 0) {
        close(fd);
        return err;
    }
    entry->device = about.st_dev;
    entry->inode = about.st_ino;
    return fd;
}

/* Closes the sockets of all slots and removes the file of a unix socket if it is still ours. */
static void sockets_close_entry(struct sockets_entry *entry)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)(const void *)&entry->address;
    struct stat about;

    if (sockets_is_unix(entry)) {
        if (entry->fds[0] >= 0) {
            close(entry->fds[0]);
            if (lstat(local->sun_path, &about) == 0 && about.st_dev == entry->device &&
                about.st_ino == entry->inode) {
                unlink(local->sun_path);
            }
        }
        memset(entry->fds, 0xff, sizeof(entry->fds));
        return;
    }
    for (uint32_t slot = 0; slot < LIMIT_WORKERS; slot++) {
        if (entry->fds[slot] >= 0) {
            close(entry->fds[slot]);
            entry->fds[slot] = -1;
        }
    }
}

/* Opens what the entry lacks in the slots in service. 0 or an errno. */
static int sockets_fill(struct sockets *sockets, struct sockets_entry *entry)
{
    if (sockets_is_unix(entry)) {
        if (entry->fds[0] < 0) {
            int fd = sockets_bind_unix(entry);

            if (fd < 0) {
                return -fd;
            }
            for (uint32_t slot = 0; slot < sockets->slots; slot++) {
                entry->fds[slot] = fd;
            }
        }
        return 0;
    }
    for (uint32_t slot = 0; slot < sockets->slots; slot++) {
        if ((sockets->open_slots >> slot & 1) != 0 && entry->fds[slot] < 0) {
            int fd = sockets_bind(entry, true);

            if (fd < 0) {
                return -fd;
            }
            entry->fds[slot] = fd;
        }
    }
    return 0;
}

static struct sockets_entry *sockets_find(struct sockets *sockets, uint64_t key)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        if (sockets->entries[i].key == key) {
            return &sockets->entries[i];
        }
    }
    return NULL;
}

static bool sockets_same(const struct sockets_entry *a, const struct sockets_entry *b)
{
    return a->length == b->length && memcmp(&a->address, &b->address, a->length) == 0;
}

/* false and `reason` when another listener of the same snapshot has the address. One of the
 * committed snapshot may have it: the two share it until the old one is closed. A file cannot be
 * shared. */
static bool sockets_is_single(const struct sockets *sockets, const struct sockets_entry *entry,
                              char *reason)
{
    char text[SOCKETS_TEXT];

    for (uint32_t i = 0; i < sockets->count; i++) {
        const struct sockets_entry *other = &sockets->entries[i];

        if (other->key != entry->key && sockets_same(other, entry) &&
            (other->staged || sockets_is_unix(entry))) {
            sockets_text(&entry->address, text);
            return sockets_fail(reason, "listener %s: %s: in use by listener %s", entry->name, text,
                                other->name);
        }
    }
    return true;
}

static struct sockets_port sockets_port(const struct sockets_entry *entry)
{
    /* The port stands at the same place for IPv4 and IPv6. */
    const struct sockaddr_in *address = (const struct sockaddr_in *)(const void *)&entry->address;

    return (struct sockets_port){.family = address->sin_family, .port = address->sin_port};
}

/* Whether a socket of ours is bound to the same port, on whatever address, or was until lately. */
static bool sockets_is_ours(const struct sockets *sockets, const struct sockets_entry *entry)
{
    struct sockets_port wanted = sockets_port(entry);

    for (uint32_t i = 0; i < sockets->count; i++) {
        struct sockets_port held = sockets_port(&sockets->entries[i]);

        if (held.family == wanted.family && held.port == wanted.port) {
            return true;
        }
    }
    for (uint32_t i = 0; i < num_min_u32(sockets->recent_count, SOCKETS_RECENT); i++) {
        if (sockets->recent[i].family == wanted.family && sockets->recent[i].port == wanted.port) {
            return true;
        }
    }
    return false;
}

/* Finds out whether a foreign socket holds the address, by binding one without SO_REUSEPORT. */
static bool sockets_is_free(const struct sockets *sockets, const struct sockets_entry *entry,
                            char *reason)
{
    int fd;

    if (sockets_is_unix(entry) || sockets_is_ours(sockets, entry)) {
        return true;
    }
    fd = sockets_bind(entry, false);
    if (fd < 0) {
        return sockets_fail_entry(entry, -fd, reason);
    }
    close(fd);
    return true;
}

static bool sockets_add(struct sockets *sockets, struct sockets_entry *entry, char *reason)
{
    int err;

    if (sockets->count == LIMIT_LISTENERS) {
        return sockets_fail(reason, "listener %s: %u listeners are open", entry->name,
                            sockets->count);
    }
    if (!sockets_is_free(sockets, entry, reason)) {
        return false;
    }
    err = sockets_fill(sockets, entry);
    if (err != 0) {
        sockets_close_entry(entry);
        return sockets_fail_entry(entry, err, reason);
    }
    entry->staged = true;
    sockets->entries[sockets->count++] = *entry;
    return true;
}

static bool sockets_stage_one(struct sockets *sockets, const struct view *view,
                              const struct abi_listener *listener, char *reason)
{
    struct sockets_entry entry = {.key = listener->key};
    struct sockets_entry *found = sockets_find(sockets, listener->key);
    struct bytes name = view_text(view, listener->name);

    memset(entry.fds, 0xff, sizeof(entry.fds));
    if (name.len > 0) {
        memcpy(entry.name, name.ptr, num_min_size(name.len, sizeof(entry.name) - 1));
    }
    if (!sockets_address(view, listener, &entry, reason) ||
        !sockets_is_single(sockets, &entry, reason)) {
        return false;
    }
    if (found == NULL) {
        return sockets_add(sockets, &entry, reason);
    }
    if (found->staged || !sockets_same(found, &entry)) {
        return sockets_fail(reason, "listener %s: its key stands for another address", entry.name);
    }
    found->staged = true;
    return true;
}

bool sockets_stage(struct sockets *sockets, const struct view *view, uint32_t *listener,
                   char *reason)
{
    for (uint32_t i = 0; i < view->counts[ABI_SECTION_LISTENER]; i++) {
        if ((view->listeners[i].flags & ABI_LISTENER_INNER) == 0 &&
            !sockets_stage_one(sockets, view, &view->listeners[i], reason)) {
            sockets_unstage(sockets);
            *listener = i;
            return false;
        }
    }
    return true;
}

static int sockets_listen_entry(const struct sockets *sockets, const struct sockets_entry *entry)
{
    uint32_t count = sockets_is_unix(entry) ? 1 : sockets->slots;

    for (uint32_t slot = 0; slot < count; slot++) {
        if (entry->fds[slot] >= 0 && listen(entry->fds[slot], SOCKETS_BACKLOG) != 0) {
            return errno;
        }
    }
    return 0;
}

bool sockets_listen(struct sockets *sockets, char *reason)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        struct sockets_entry *entry = &sockets->entries[i];

        if (entry->staged && !entry->listening) {
            int err = sockets_listen_entry(sockets, entry);

            if (err != 0) {
                return sockets_fail_entry(entry, err, reason);
            }
            entry->listening = true;
        }
    }
    return true;
}

void sockets_commit(struct sockets *sockets)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        sockets->entries[i].committed = sockets->entries[i].staged;
        sockets->entries[i].staged = false;
    }
}

/* Closes entries that neither the committed nor a staged snapshot has. */
void sockets_settle(struct sockets *sockets)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < sockets->count; i++) {
        struct sockets_entry *entry = &sockets->entries[i];

        if (!entry->committed && !entry->staged) {
            sockets->recent[sockets->recent_count++ % SOCKETS_RECENT] = sockets_port(entry);
            sockets_close_entry(entry);
            continue;
        }
        if (kept != i) {
            sockets->entries[kept] = *entry;
        }
        kept++;
    }
    sockets->count = kept;
}

void sockets_unstage(struct sockets *sockets)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        sockets->entries[i].staged = false;
    }
    sockets_settle(sockets);
}

void sockets_close_slot(struct sockets *sockets, uint32_t slot)
{
    MUST(slot < sockets->slots);
    sockets->open_slots &= ~(1ULL << slot);
    for (uint32_t i = 0; i < sockets->count; i++) {
        struct sockets_entry *entry = &sockets->entries[i];

        if (!sockets_is_unix(entry) && entry->fds[slot] >= 0) {
            close(entry->fds[slot]);
            entry->fds[slot] = -1;
        }
    }
}

bool sockets_open_slot(struct sockets *sockets, uint32_t slot, char *reason)
{
    bool all = true;

    MUST(slot < sockets->slots);
    sockets->open_slots |= 1ULL << slot;
    for (uint32_t i = 0; i < sockets->count; i++) {
        struct sockets_entry *entry = &sockets->entries[i];
        int err = sockets_fill(sockets, entry);

        if (err == 0 && entry->listening) {
            err = sockets_listen_entry(sockets, entry);
        }
        if (err != 0 && all) {
            all = sockets_fail_entry(entry, err, reason);
        }
    }
    return all;
}

void sockets_close(struct sockets *sockets)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        sockets_close_entry(&sockets->entries[i]);
    }
    sockets->count = 0;
}
