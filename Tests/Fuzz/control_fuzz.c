/* Messages of the control channel: what is accepted can be used without another look. The first two
 * bytes choose who says it and with how many descriptors. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "worker/control.h"

static void use_text(const char *text, size_t size)
{
    MUST(strnlen(text, size) < size);
}

static void use_from_worker(const struct control_message *message)
{
    if (message->head.type == ABI_CONTROL_PHASE) {
        use_text(message->phase.reason, sizeof(message->phase.reason));
        MUST(message->phase.phase < ABI_PHASE_COUNT);
        MUST(message->phase.code < ABI_REFUSAL_COUNT);
        MUST(message->phase.generation != 0);
    }
}

static void use_from_supervisor(const struct control_message *message, uint32_t descriptors)
{
    switch (message->head.type) {
    case ABI_CONTROL_LISTENER:
        MUST(message->listener.count == descriptors);
        MUST(message->listener.count <= ABI_CONTROL_LISTENERS);
        break;
    case ABI_CONTROL_PREPARE:
        MUST(descriptors == 1 + message->generation.has_secrets);
        break;
    case ABI_CONTROL_WELCOME:
        use_text(message->welcome.engine, sizeof(message->welcome.engine));
        use_text(message->welcome.program, sizeof(message->welcome.program));
        MUST(message->welcome.workers <= LIMIT_WORKERS);
        break;
    case ABI_CONTROL_REFUSE:
        use_text(message->refuse.reason, sizeof(message->refuse.reason));
        break;
    case ABI_CONTROL_WORKER:
        MUST(message->worker.worker < LIMIT_WORKERS);
        MUST(message->worker.state < ABI_WORKER_STATE_COUNT);
        break;
    default:
        break;
    }
}

FUZZ_TARGET(control)
{
    enum control_party party;
    struct control_message *message;
    uint32_t descriptors;
    struct bytes packet;
    void *exact;

    if (in.len < 2 || in.len > 2 + LIMIT_CONTROL_MESSAGE) {
        return;
    }
    party = (enum control_party)(in.ptr[0] % CONTROL_PARTY_COUNT);
    descriptors = in.ptr[1] % (SHM_DESCRIPTORS + 1);
    packet = bytes_from(in, 2);
    exact = malloc(packet.len > 0 ? packet.len : 1); /* aligned, and its end is guarded */
    message = calloc(1, sizeof(*message));
    MUST(exact != NULL);
    MUST(message != NULL);
    memcpy(exact, packet.ptr, packet.len);
    if (control_check(party, exact, packet.len, descriptors) == NULL) {
        memcpy(message->bytes, exact, packet.len);
        MUST(message->head.length == packet.len);
        if (party == CONTROL_PLANE) {
            MUST(message->head.type != ABI_CONTROL_PUBLISH ||
                 descriptors == 1 + message->publish.has_secrets);
        } else if (party == CONTROL_WORKER) {
            use_from_worker(message);
        } else {
            use_from_supervisor(message, descriptors);
        }
    }
    free(message);
    free(exact);
}
