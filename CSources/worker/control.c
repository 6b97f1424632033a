#include "control.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/must.h"
#include "handover.h"

/* Who says what, how long it is, and how many descriptors come with it at most. */
struct control_rule {
    uint32_t type;
    uint32_t length;
    enum control_party party;
    uint32_t descriptors;
};

#define CONTROL_GENERATION sizeof(struct abi_control_generation)

static const struct control_rule control_rules[] = {
    {ABI_CONTROL_HELLO, sizeof(struct abi_control_hello), CONTROL_PLANE, 0},
    {ABI_CONTROL_PUBLISH, sizeof(struct abi_control_publish), CONTROL_PLANE, 2},
    {ABI_CONTROL_SHUTDOWN, sizeof(struct abi_control_shutdown), CONTROL_PLANE, 0},
    {ABI_CONTROL_REOPEN, sizeof(struct abi_control_reopen), CONTROL_PLANE, 0},
    {ABI_CONTROL_UPGRADE, sizeof(struct abi_control_upgrade), CONTROL_PLANE, 0},
    {ABI_CONTROL_WELCOME, sizeof(struct abi_control_welcome), CONTROL_SUPERVISOR_UP, 2},
    {ABI_CONTROL_REFUSE, sizeof(struct abi_control_refuse), CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_WORKER, sizeof(struct abi_control_worker), CONTROL_SUPERVISOR_UP, 2},
    {ABI_CONTROL_PUBLISHED, sizeof(struct abi_control_published), CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_UPGRADED, sizeof(struct abi_control_upgraded), CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_ELDER, sizeof(struct abi_control_elder), CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_READY, CONTROL_GENERATION, CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_PHASE, sizeof(struct abi_control_phase), CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_DRAINED, CONTROL_GENERATION, CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_RELEASED, CONTROL_GENERATION, CONTROL_SUPERVISOR_UP, 0},
    {ABI_CONTROL_LISTENER, sizeof(struct abi_control_listener), CONTROL_SUPERVISOR_DOWN,
     ABI_CONTROL_LISTENERS},
    {ABI_CONTROL_PREPARE, CONTROL_GENERATION, CONTROL_SUPERVISOR_DOWN, 2},
    {ABI_CONTROL_COMMIT, CONTROL_GENERATION, CONTROL_SUPERVISOR_DOWN, 0},
    {ABI_CONTROL_ABORT, CONTROL_GENERATION, CONTROL_SUPERVISOR_DOWN, 0},
    {ABI_CONTROL_DRAIN, CONTROL_GENERATION, CONTROL_SUPERVISOR_DOWN, 0},
    {ABI_CONTROL_RETIRE, CONTROL_GENERATION, CONTROL_SUPERVISOR_DOWN, 0},
    {ABI_CONTROL_REOPEN, sizeof(struct abi_control_reopen), CONTROL_SUPERVISOR_DOWN, 0},
    {ABI_CONTROL_READY, CONTROL_GENERATION, CONTROL_WORKER, 0},
    {ABI_CONTROL_PHASE, sizeof(struct abi_control_phase), CONTROL_WORKER, 0},
    {ABI_CONTROL_DRAINED, CONTROL_GENERATION, CONTROL_WORKER, 0},
    {ABI_CONTROL_RELEASED, CONTROL_GENERATION, CONTROL_WORKER, 0},
    {ABI_HANDOVER_HELLO, sizeof(struct abi_handover_hello), CONTROL_HEIR, 0},
    {ABI_HANDOVER_NEXT, sizeof(struct abi_handover_step), CONTROL_HEIR, 0},
    {ABI_HANDOVER_TAKEN, sizeof(struct abi_handover_step), CONTROL_HEIR, 0},
    {ABI_HANDOVER_FAIL, sizeof(struct abi_handover_fail), CONTROL_HEIR, 0},
    {ABI_CONTROL_REOPEN, sizeof(struct abi_control_reopen), CONTROL_HEIR, 0},
    {ABI_CONTROL_SHUTDOWN, sizeof(struct abi_control_shutdown), CONTROL_HEIR, 0},
    {ABI_HANDOVER_STATE, sizeof(struct abi_handover_state), CONTROL_ELDER, 5 + LIMIT_ELDERS},
    {ABI_HANDOVER_SOCKETS, sizeof(struct abi_handover_sockets), CONTROL_ELDER, SHM_DESCRIPTORS},
    {ABI_HANDOVER_END, sizeof(struct abi_handover_step), CONTROL_ELDER, 0},
    {ABI_HANDOVER_GO, sizeof(struct abi_handover_step), CONTROL_ELDER, 0},
    {ABI_HANDOVER_DRAINING, sizeof(struct abi_handover_draining), CONTROL_ELDER, 0},
    {ABI_HANDOVER_FAIL, sizeof(struct abi_handover_fail), CONTROL_ELDER, 0},
};

static const struct control_rule *control_find(enum control_party party, uint32_t type)
{
    for (size_t i = 0; i < sizeof(control_rules) / sizeof(control_rules[0]); i++) {
        if (control_rules[i].party == party && control_rules[i].type == type) {
            return &control_rules[i];
        }
    }
    return NULL;
}

static bool control_ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static const char *control_check_phase(enum control_party party,
                                       const struct abi_control_phase *phase)
{
    if (phase->phase >= ABI_PHASE_COUNT) {
        return "PHASE: no such phase";
    }
    if (party == CONTROL_WORKER && phase->phase == ABI_PHASE_TIMED_OUT) {
        return "PHASE: a worker cannot time out by itself";
    }
    if (phase->code >= ABI_REFUSAL_COUNT) {
        return "PHASE: no such refusal";
    }
    if ((phase->phase == ABI_PHASE_REFUSED) != (phase->code != ABI_REFUSAL_NONE)) {
        return "PHASE: a refusal and only a refusal has a code";
    }
    if (!control_ends(phase->reason, sizeof(phase->reason))) {
        return "PHASE: the reason does not end";
    }
    return phase->generation == 0 ? "PHASE: generation 0" : NULL;
}

static const char *control_check_generation(const struct abi_control_generation *message,
                                            uint32_t descriptors)
{
    bool prepare = message->head.type == ABI_CONTROL_PREPARE;

    if (message->has_secrets > (prepare ? 1u : 0u)) {
        return "has_secrets is out of range";
    }
    if (prepare && descriptors != 1 + message->has_secrets) {
        return "PREPARE: wrong number of descriptors";
    }
    switch (message->head.type) {
    case ABI_CONTROL_PREPARE:
    case ABI_CONTROL_COMMIT:
    case ABI_CONTROL_ABORT:
    case ABI_CONTROL_RELEASED:
        return message->generation == 0 ? "generation 0" : NULL;
    default:
        return NULL;
    }
}

static const char *control_check_plane(const struct abi_control_publish *publish,
                                       uint32_t descriptors)
{
    if (publish->has_secrets > 1) {
        return "PUBLISH: has_secrets is out of range";
    }
    if (descriptors != 1 + publish->has_secrets) {
        return "PUBLISH: wrong number of descriptors";
    }
    return publish->generation == 0 ? "PUBLISH: generation 0" : NULL;
}

static const char *control_check_welcome(const struct abi_control_welcome *welcome,
                                         uint32_t descriptors)
{
    if (welcome->has_snapshot > 1 || descriptors != 1 + welcome->has_snapshot) {
        return "WELCOME: wrong number of descriptors";
    }
    if ((welcome->generation != 0) != (welcome->has_snapshot == 1)) {
        return "WELCOME: a generation and only a generation has a snapshot";
    }
    if (welcome->workers == 0 || welcome->workers > LIMIT_WORKERS) {
        return "WELCOME: number of workers out of range";
    }
    if (welcome->kernel_tls >= ABI_KERNEL_TLS_COUNT) {
        return "WELCOME: kernel_tls out of range";
    }
    if (!control_ends(welcome->engine, sizeof(welcome->engine)) ||
        !control_ends(welcome->program, sizeof(welcome->program))) {
        return "WELCOME: a text does not end";
    }
    return NULL;
}

static const char *control_check_upward(const void *bytes, uint32_t type)
{
    const struct abi_control_refuse *refuse = bytes;
    const struct abi_control_worker *worker = bytes;
    const struct abi_control_published *published = bytes;
    const struct abi_control_upgraded *upgraded = bytes;
    const struct abi_control_elder *elder = bytes;

    switch (type) {
    case ABI_CONTROL_UPGRADED:
        return upgraded->outcome < ABI_UPGRADED_COUNT &&
                       control_ends(upgraded->reason, sizeof(upgraded->reason))
                   ? NULL
                   : "UPGRADED: out of range";
    case ABI_CONTROL_ELDER:
        return elder->ended <= 1 && control_ends(elder->program, sizeof(elder->program))
                   ? NULL
                   : "ELDER: out of range";
    case ABI_CONTROL_REFUSE:
        if (refuse->code >= ABI_REFUSAL_COUNT) {
            return "REFUSE: no such refusal";
        }
        return control_ends(refuse->reason, sizeof(refuse->reason))
                   ? NULL
                   : "REFUSE: the reason does not end";
    case ABI_CONTROL_WORKER:
        return worker->state < ABI_WORKER_STATE_COUNT && worker->worker < LIMIT_WORKERS
                   ? NULL
                   : "WORKER: out of range";
    default:
        return published->outcome < ABI_PUBLISHED_COUNT ? NULL : "PUBLISHED: no such outcome";
    }
}

static const char *control_check_upgrade(const struct abi_control_upgrade *upgrade)
{
    if (upgrade->path[0] != '/') {
        return "UPGRADE: the program's path is not absolute";
    }
    return control_ends(upgrade->path, sizeof(upgrade->path)) ? NULL
                                                              : "UPGRADE: the path does not end";
}

/* What depends on the type, once the length is known to be that of the type. */
static const char *control_check_body(enum control_party party, const void *bytes,
                                      uint32_t descriptors)
{
    const struct abi_control_head *head = bytes;
    const struct abi_control_listener *listener = bytes;

    if (head->type >= ABI_HANDOVER_HELLO) {
        return handover_check(bytes, descriptors);
    }
    switch (head->type) {
    case ABI_CONTROL_HELLO:
    case ABI_CONTROL_SHUTDOWN:
    case ABI_CONTROL_REOPEN:
        return NULL;
    case ABI_CONTROL_UPGRADE:
        return control_check_upgrade(bytes);
    case ABI_CONTROL_PUBLISH:
        return control_check_plane(bytes, descriptors);
    case ABI_CONTROL_WELCOME:
        return control_check_welcome(bytes, descriptors);
    case ABI_CONTROL_REFUSE:
    case ABI_CONTROL_WORKER:
    case ABI_CONTROL_PUBLISHED:
    case ABI_CONTROL_UPGRADED:
    case ABI_CONTROL_ELDER:
        return head->type == ABI_CONTROL_WORKER && descriptors == 1
                   ? "WORKER: statistics and questions come together"
                   : control_check_upward(bytes, head->type);
    case ABI_CONTROL_PHASE:
        return control_check_phase(party, bytes);
    case ABI_CONTROL_LISTENER:
        return listener->count >= 1 && listener->count <= ABI_CONTROL_LISTENERS &&
                       listener->count == descriptors
                   ? NULL
                   : "LISTENER: as many descriptors as keys, 1 to 32";
    default:
        return control_check_generation(bytes, descriptors);
    }
}

const char *control_check(enum control_party party, const void *bytes, size_t length,
                          uint32_t descriptors)
{
    const struct abi_control_head *head = bytes;
    const struct control_rule *rule;

    if (length < sizeof(*head)) {
        return "shorter than a message head";
    }
    if (head->length != length) {
        return "another length than its head says";
    }
    rule = control_find(party, head->type);
    if (rule == NULL) {
        return "a type that this peer does not send";
    }
    if (length != rule->length) {
        return "another length than its type has";
    }
    if (descriptors > rule->descriptors) {
        return "more descriptors than its type has";
    }
    return control_check_body(party, bytes, descriptors);
}

int control_receive(int fd, enum control_party party, struct control_message *out, const char **why)
{
    ssize_t length = shm_receive(fd, out->bytes, sizeof(out->bytes), &out->descriptors);

    if (length == -EAGAIN) {
        return 0;
    }
    if (length == -EMSGSIZE) {
        *why = "longer than a message may be, or with too many descriptors";
        return MESH_E_SYNTAX;
    }
    if (length <= 0) {
        return MESH_E_CLOSED;
    }
    *why = control_check(party, out->bytes, (size_t)length, out->descriptors.count);
    if (*why != NULL) {
        control_drop(out);
        return MESH_E_SYNTAX;
    }
    return 1;
}

int control_take(struct control_message *message, uint32_t index)
{
    int fd;

    MUST(index < message->descriptors.count);
    fd = message->descriptors.fds[index];
    message->descriptors.fds[index] = -1;
    return fd;
}

void control_drop(struct control_message *message)
{
    shm_close(&message->descriptors);
}

int control_send(int fd, const void *message, const int *fds, uint32_t count)
{
    const struct abi_control_head *head = message;
    int err;

    MUST(head->length >= sizeof(*head));
    MUST(head->length <= LIMIT_CONTROL_MESSAGE);
    err = shm_send(fd, message, head->length, fds, count);
    if (err == 0) {
        return MESH_OK;
    }
    return err == -EAGAIN || err == -ENOBUFS || err == -ETOOMANYREFS ? MESH_E_TOO_MANY
                                                                     : MESH_E_CLOSED;
}

void control_reason(char *field, const char *text)
{
    size_t length = strnlen(text, LIMIT_REASON - 1);

    memset(field, 0, LIMIT_REASON);
    memcpy(field, text, length);
}
