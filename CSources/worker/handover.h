/* The messages of abi/handover.h: what makes one of them right, and what goes into one. */
#ifndef WORKER_HANDOVER_H
#define WORKER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "sockets.h"

/* What is wrong with a message whose type and length are right; NULL: nothing. */
const char *handover_check(const void *bytes, uint32_t descriptors);

/* Which of the pieces that the committed sockets make is meant by `index`: at most
 * SHM_DESCRIPTORS slots of one listener each. false: there are no more. */
[[nodiscard]] bool handover_sockets(const struct sockets *sockets, uint64_t index,
                                    struct abi_handover_sockets *out, int *fds);

/* Closes every socket; the files of unix sockets stay where they are: another process listens. */
void handover_let_go(struct sockets *sockets);

/* Takes the descriptors of a SOCKETS message over into `sockets`. false: they do not fit what came
 * before. */
[[nodiscard]] bool handover_take_sockets(struct sockets *sockets, struct control_message *message);

#endif
