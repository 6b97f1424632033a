/* Listening sockets, held by the supervisor and lent to workers: one per listener and worker slot
 * (SO_REUSEPORT spreads connections over them), one shared by all for a unix socket. They stay open
 * while a worker is replaced, so that what is queued on them waits for its successor.
 *
 * A publication goes through three steps: sockets_stage() binds what the new snapshot needs and
 * reports what cannot be had; sockets_listen() opens them for clients at the moment of COMMIT, so
 * that no client is queued on a listener that may never go live; sockets_settle() closes what the
 * new snapshot no longer has. sockets_unstage() takes back a publication that was aborted. */
#ifndef WORKER_SOCKETS_H
#define WORKER_SOCKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "abi/limits.h"
#include "table/view.h"

#define SOCKETS_TEXT 128u /* bytes of an address in words */

struct sockets_entry {
    uint64_t key;   /* of the listener */
    bool committed; /* the committed snapshot has it */
    bool staged;    /* the one that is being prepared has it */
    bool listening;
    uint32_t mode; /* unix: permission bits */
    struct sockaddr_storage address;
    socklen_t length;
    dev_t device; /* unix: the file that was made */
    ino_t inode;
    char name[64];          /* of the listener, for messages */
    int fds[LIMIT_WORKERS]; /* -1: none; unix: the same in every slot */
};

/* Ports that were given up: a worker may hold its copy of such a socket for an instant longer. */
#define SOCKETS_RECENT 256u

struct sockets_port {
    sa_family_t family;
    in_port_t port; /* network byte order */
};

struct sockets {
    uint32_t slots;
    uint32_t recent_count; /* ever written; the newest is (recent_count - 1) % SOCKETS_RECENT */
    struct sockets_port recent[SOCKETS_RECENT];
    uint64_t open_slots; /* slots in service; the others have no socket */
    uint32_t count;
    struct sockets_entry entries[LIMIT_LISTENERS];
};

void sockets_init(struct sockets *sockets, uint32_t slots);

/* Binds what `view` needs beyond what is open. When one cannot be had, everything new is closed
 * again and the result is false: `listener` is its place among the view's listeners, `reason`
 * (LIMIT_REASON bytes) for people. */
[[nodiscard]] bool sockets_stage(struct sockets *sockets, const struct view *view,
                                 uint32_t *listener, char *reason);

/* Opens the staged sockets for clients. false and `reason` when the system refuses one. */
[[nodiscard]] bool sockets_listen(struct sockets *sockets, char *reason);

/* The staged snapshot is the committed one now. Sockets that it does not have stay open until
 * sockets_settle(). */
void sockets_commit(struct sockets *sockets);
void sockets_settle(struct sockets *sockets);
void sockets_unstage(struct sockets *sockets);

/* A slot goes out of service or comes back: its sockets are closed, or opened again. false: not all
 * could be opened, `reason` names the first. */
void sockets_close_slot(struct sockets *sockets, uint32_t slot);
[[nodiscard]] bool sockets_open_slot(struct sockets *sockets, uint32_t slot, char *reason);

/* Closes everything. */
void sockets_close(struct sockets *sockets);

/* "127.0.0.1:80", "[::1]:80", "/run/x.sock" */
void sockets_text(const struct sockaddr_storage *address, char out[SOCKETS_TEXT]);

#endif
