/* One HTTP/2 connection of the backend, by prior knowledge: every request is answered with the same
 * unary answer of gRPC. */
#ifndef BACKEND_H2_H
#define BACKEND_H2_H
#include <stdbool.h>
#include <stdint.h>

#define BACKEND_H2_STREAMS 1024u /* at a time, announced */
#define BACKEND_H2_MESSAGE 133u  /* bytes of an answer's message with its prefix of 5 */
#define BACKEND_H2_ANSWER  256u  /* all frames of one answer, or of whatever else is said at once */
#define BACKEND_H2_IN      65536u
#define BACKEND_H2_OUT     65536u

_Static_assert(BACKEND_H2_STREAMS % 256 == 0, "announced by its second byte");

struct backend_h2 {
    bool greeted;
    int64_t window; /* bytes of bodies that the peer takes now */
    uint32_t taken; /* bytes of its bodies that it may not send anew yet */
    uint32_t owed_from;
    uint32_t owed_to;
    uint32_t have; /* of `in` */
    uint32_t out_from;
    uint32_t out_end;
    uint32_t owed[BACKEND_H2_STREAMS]; /* streams to be answered */
    uint8_t in[BACKEND_H2_IN];
    uint8_t out[BACKEND_H2_OUT];
};

/* Reads and answers: 1 all is out, 0 the socket is full, -1 the connection is to be dropped. */
int backend_h2_serve(struct backend_h2 *h2, int fd);
#endif
