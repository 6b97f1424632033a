/* Inside of the simulated world; for ring_sim*.c and sim*.c. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "core/ring.h"
#include "sim.h"

#define SIM_MS        1000000ull
#define SIM_FDS_MAX   4096
#define SIM_FD_FIRST  3
#define SIM_HALF_MAX  (256u * 1024u) /* largest socket buffer */
#define SIM_PIPE_SIZE 65536u
#define SIM_QUEUE_MAX 1024 /* connections that wait for an accept */

/* One direction of a stream: counters of all bytes ever. read <= arrived <= written. */
struct sim_half {
    uint8_t *data; /* a ring of `size` bytes */
    uint32_t size;
    uint64_t written;
    uint64_t arrived;
    uint64_t read;
    uint64_t last_ns; /* nothing sent later arrives earlier */
    bool closing;     /* the writer has sent its end */
    bool closed;      /* which has arrived */
};

struct sim_end {
    int fd;                /* the program's, or -1 */
    struct sim_peer *peer; /* the scenario's, or NULL */
    int error;             /* pending errno of the socket */
    bool gone;             /* closed by its owner */
    bool broken;           /* a reset has arrived */
};

/* A connection. Side s writes halves[s] and reads halves[1 - s]. */
struct sim_link {
    struct sim_half halves[2];
    struct sim_end ends[2];
    uint64_t latency_ns;
    uint16_t port;
    struct sim_link *next;
};

enum sim_fd_kind : uint8_t {
    SIM_FD_FREE = 0,
    SIM_FD_LISTENER,
    SIM_FD_SOCKET, /* not connected */
    SIM_FD_STREAM,
    SIM_FD_PIPE, /* either end */
};

struct sim_pipe {
    uint8_t data[SIM_PIPE_SIZE];
    uint32_t length;
};

struct sim_fd {
    uint64_t id; /* never used again, as the number is */
    enum sim_fd_kind kind;
    bool closing; /* its close is queued: nobody may use it any more */
    bool reset;   /* by a reset */
    bool writes;  /* of a pipe: the writing end */
    uint16_t port;
    struct sim_link *link;
    uint32_t side;
    struct sim_pipe *pipe;
    struct sim_link *queue[SIM_QUEUE_MAX]; /* of a listener */
    uint32_t queued;
};

struct sim_service {
    uint16_t port;
    void (*changed)(struct sim_peer *peer);
    void *context;
    struct sim_service *next;
};

struct sim_event {
    uint64_t at_ns;
    uint64_t order; /* of equal times */
    void (*run)(void *context, uint64_t number);
    void *context;
    uint64_t number;
};

struct sim_memory {
    struct sim_memory *next;
    uint8_t bytes[]; /* aligned as a pointer */
};

struct sim_world {
    uint64_t seed;
    uint64_t random;
    uint64_t now_ns;
    uint64_t order;
    uint64_t last_id;
    uint64_t digest; /* of all events handed out: equal for equal seeds */
    bool failed;
    struct sim_faults faults;
    struct sim_fd *fds[SIM_FDS_MAX];
    struct sim_event *events; /* a heap */
    size_t event_count;
    size_t event_room;
    struct sim_memory *memory;
    struct sim_link *links;
    struct sim_service *services;
    struct sim_peer **peers;
    uint32_t peer_count;
    struct ring *ring; /* made by the program under test */
};

extern struct sim_world *sim;

/* The next event of the world, at most at `limit_ns`: moves the clock and runs it. False: none. */
bool sim_step(uint64_t limit_ns);
void sim_schedule(uint64_t delay_ns, void (*run)(void *context, uint64_t number), void *context,
                  uint64_t number);

/* The lowest free descriptor, as a kernel gives; nothing may reach its last owner any more. */
int sim_fd_open(enum sim_fd_kind kind);
/* An open descriptor that is not being closed; anything else is a fault of the program. */
struct sim_fd *sim_fd_get(int fd);
void sim_fd_free(int fd);

struct sim_link *sim_link_open(uint16_t port);
struct sim_peer *sim_peer_add(struct sim_link *link, uint32_t side,
                              void (*changed)(struct sim_peer *peer), void *context);
/* The program's connect operation `op` goes to `port`: ring_sim_connected() will tell, or nobody.
 */
void sim_dial(uint64_t op, uint16_t port);

/* Bytes that side `side` can read or write now, and doing so. */
size_t sim_readable(const struct sim_link *link, uint32_t side);
size_t sim_room(const struct sim_link *link, uint32_t side);
size_t sim_read(struct sim_link *link, uint32_t side, uint8_t *to, size_t max);
size_t sim_write(struct sim_link *link, uint32_t side, struct bytes in);
/* Everything was read and the writer has ended. */
bool sim_at_end(const struct sim_link *link, uint32_t side);
void sim_shutdown(struct sim_link *link, uint32_t side);
void sim_close(struct sim_link *link, uint32_t side, bool reset);

/* The descriptor that connect operation is for, -1 when it was given up; and how it went. */
int ring_sim_connecting(const struct ring *ring, uint64_t op);
void ring_sim_connected(struct ring *ring, uint64_t op, int result);

/* Checks of the ring when the world is asked to be quiet. */
bool ring_sim_is_quiet(const struct ring *ring);

#endif
