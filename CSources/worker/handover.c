#include "handover.h"

#include <string.h>
#include <unistd.h>

static bool handover_ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static const char *handover_check_state(const struct abi_handover_state *state,
                                        uint32_t descriptors)
{
    if (state->has_snapshot > 1 || state->has_secrets > 1 || state->has_installation > 1) {
        return "STATE: a truth value out of range";
    }
    if (state->elders > LIMIT_ELDERS ||
        descriptors != 3 + state->has_snapshot + state->has_secrets + state->elders) {
        return "STATE: wrong number of descriptors";
    }
    if (state->workers == 0 || state->workers > LIMIT_WORKERS) {
        return "STATE: number of workers out of range";
    }
    if ((state->generation != 0) != (state->has_snapshot == 1)) {
        return "STATE: a generation and only a generation has a snapshot";
    }
    return state->newest >= state->generation ? NULL : "STATE: newer than the newest";
}

static const char *handover_check_sockets(const struct abi_handover_sockets *sockets,
                                          uint32_t descriptors)
{
    if (sockets->count == 0 || sockets->count != descriptors || sockets->first >= LIMIT_WORKERS ||
        sockets->count > LIMIT_WORKERS - sockets->first) {
        return "SOCKETS: as many descriptors as slots, 1 to 32";
    }
    if (sockets->length < sizeof(sa_family_t) || sockets->length > sizeof(sockets->address)) {
        return "SOCKETS: the address is empty or too long";
    }
    return handover_ends(sockets->name, sizeof(sockets->name)) ? NULL
                                                               : "SOCKETS: the name does not end";
}

const char *handover_check(const void *bytes, uint32_t descriptors)
{
    const struct abi_control_head *head = bytes;
    const struct abi_handover_hello *hello = bytes;
    const struct abi_handover_draining *draining = bytes;
    const struct abi_handover_fail *fail = bytes;

    switch (head->type) {
    case ABI_HANDOVER_HELLO:
        return handover_ends(hello->program, sizeof(hello->program)) ? NULL
                                                                     : "HELLO: a text does not end";
    case ABI_HANDOVER_STATE:
        return handover_check_state(bytes, descriptors);
    case ABI_HANDOVER_SOCKETS:
        return handover_check_sockets(bytes, descriptors);
    case ABI_HANDOVER_DRAINING:
        return handover_ends(draining->program, sizeof(draining->program))
                   ? NULL
                   : "DRAINING: a text does not end";
    case ABI_HANDOVER_FAIL:
        return handover_ends(fail->reason, sizeof(fail->reason)) ? NULL
                                                                 : "FAIL: the reason does not end";
    default:
        return NULL;
    }
}

/* How many slots from `first` on have a socket of their own, or 1 for the file of a unix socket. */
static uint32_t handover_run(const struct sockets *sockets, const struct sockets_entry *entry,
                             uint32_t first)
{
    uint32_t count = 0;

    if (entry->address.ss_family == AF_UNIX) {
        return first == 0 && entry->fds[0] >= 0 ? 1 : 0;
    }
    while (first + count < sockets->slots && count < SHM_DESCRIPTORS &&
           entry->fds[first + count] >= 0) {
        count++;
    }
    return count;
}

bool handover_sockets(const struct sockets *sockets, uint64_t index,
                      struct abi_handover_sockets *out, int *fds)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        const struct sockets_entry *entry = &sockets->entries[i];
        uint32_t first = 0;

        while (entry->committed && first < sockets->slots) {
            uint32_t run = handover_run(sockets, entry, first);

            if (run > 0 && index-- == 0) {
                *out = (struct abi_handover_sockets){
                    .head = control_head(ABI_HANDOVER_SOCKETS, sizeof(*out)),
                    .key = entry->key,
                    .first = first,
                    .count = run,
                    .mode = entry->mode,
                    .length = (uint32_t)entry->length,
                    .device = entry->device,
                    .inode = entry->inode,
                };
                _Static_assert(sizeof(out->address) == sizeof(entry->address), "copied whole");
                _Static_assert(sizeof(out->name) == sizeof(entry->name), "copied whole");
                memcpy(out->address, &entry->address, sizeof(out->address));
                memcpy(out->name, entry->name, sizeof(out->name));
                memcpy(fds, &entry->fds[first], run * sizeof(fds[0]));
                return true;
            }
            first += run > 0 ? run : 1;
        }
    }
    return false;
}

static struct sockets_entry *handover_entry(struct sockets *sockets,
                                            const struct abi_handover_sockets *from)
{
    struct sockets_entry *entry;

    if (sockets->count > 0 && sockets->entries[sockets->count - 1].key == from->key) {
        return &sockets->entries[sockets->count - 1];
    }
    if (sockets->count == LIMIT_LISTENERS) {
        return NULL;
    }
    entry = &sockets->entries[sockets->count++];
    *entry = (struct sockets_entry){
        .key = from->key,
        .committed = true,
        .listening = true,
        .mode = from->mode,
        .length = (socklen_t)from->length,
        .device = (dev_t)from->device,
        .inode = (ino_t)from->inode,
    };
    memcpy(&entry->address, from->address, sizeof(from->address));
    memcpy(entry->name, from->name, sizeof(entry->name));
    memset(entry->fds, 0xff, sizeof(entry->fds));
    return entry;
}

bool handover_take_sockets(struct sockets *sockets, struct control_message *message)
{
    const struct abi_handover_sockets *from = &message->sockets;
    struct sockets_entry *entry;

    if (from->count > sockets->slots || from->first > sockets->slots - from->count) {
        return false;
    }
    entry = handover_entry(sockets, from);
    if (entry == NULL || entry->fds[from->first] >= 0) {
        return false;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        entry->fds[from->first + i] = control_take(message, i);
    }
    for (uint32_t i = 1; entry->address.ss_family == AF_UNIX && i < sockets->slots; i++) {
        entry->fds[i] = entry->fds[0];
    }
    return true;
}

void handover_let_go(struct sockets *sockets)
{
    for (uint32_t i = 0; i < sockets->count; i++) {
        struct sockets_entry *entry = &sockets->entries[i];
        uint32_t files = entry->address.ss_family == AF_UNIX ? 1 : sockets->slots;

        for (uint32_t slot = 0; slot < files; slot++) {
            if (entry->fds[slot] >= 0) {
                close(entry->fds[slot]);
            }
        }
        memset(entry->fds, 0xff, sizeof(entry->fds));
    }
    sockets->count = 0;
}
