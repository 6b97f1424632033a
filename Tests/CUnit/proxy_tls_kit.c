#include "proxy_tls_kit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS 2000u /* of at most a millisecond: until then nothing will come any more */

uint32_t proxy_tls_kit_server(struct proxy_kit *kit)
{
    const uint64_t secret = PROXY_TLS_KIT_SECRET;
    struct abi_tls tls = {
        .key = 1,
        .server = 1,
        .min_version = TLS_VERSION_1_2,
        .max_version = TLS_VERSION_1_3,
        .session_lifetime_s = 3600,
    };

    tls.certificates.at = snapshot_builder_add(kit->builder, ABI_SECTION_SECRET_LIST, &secret);
    tls.certificates.count = 1;
    return snapshot_builder_add(kit->builder, ABI_SECTION_TLS, &tls);
}

void proxy_tls_kit_secrets(struct proxy_kit *kit, uint8_t mark)
{
    const struct tls_kit_world *world = tls_kit_world();
    struct tls_ticket_key key = {0};
    const struct snapshot_secret secrets[2] = {
        {
            .id = ABI_SECRET_ID_TICKETS,
            .kind = ABI_SECRET_TICKET_KEYS,
            .key = bytes_of((const uint8_t *)&key, sizeof(key)),
        },
        {
            .id = PROXY_TLS_KIT_SECRET,
            .kind = ABI_SECRET_CERTIFICATE,
            .chain = world->server.der,
            .key = world->server.key_der,
        },
    };

    memset(&key, mark, sizeof(key));
    free(kit->secrets);
    kit->secrets = mark == 0 ? snapshot_builder_secrets(&secrets[1], 1, &kit->secrets_size)
                             : snapshot_builder_secrets(secrets, 2, &kit->secrets_size);
}

struct proxy_tls_client *proxy_tls_kit_connect(struct proxy_kit *kit, uint32_t number,
                                               const char *name, struct proxy_tls_client *earlier)
{
    const struct tls_options options = tls_kit_client_options();
    struct proxy_tls_client *client = calloc(1, sizeof(*client));
    struct tls_resume *resume = earlier == NULL ? NULL : tls_take_resume(earlier->session);

    MUST(client != NULL);
    CHECK(earlier == NULL || resume != NULL);
    client->fd = proxy_kit_client(kit, number);
    client->context =
        earlier == NULL ? tls_kit_context(&options) : tls_context_retain(earlier->context);
    client->session =
        tls_session_create(client->context, cunit_text(name), bytes_of(NULL, 0), resume);
    MUST(client->session != NULL);
    tls_resume_free(resume);
    return client;
}

static void put(struct proxy_tls_client *client)
{
    struct bytes out = tls_output(client->session);
    ssize_t sent = out.len == 0 ? 0 : send(client->fd, out.ptr, out.len, MSG_NOSIGNAL);

    if (out.len > 0 && !(sent < 0 && errno == EAGAIN)) {
        client->ended = client->ended || sent < 0;
        CHECK(sent < 0 || (size_t)sent == out.len);
        tls_output_taken(client->session);
    }
}

void proxy_tls_kit_step(struct proxy_tls_client *client)
{
    static uint8_t in[65536];
    ssize_t got;
    int64_t plain;

    (void)tls_start(client->session);
    put(client);
    got = recv(client->fd, in, sizeof(in), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        client->ended = true;
        return;
    }
    if (got > 0) {
        (void)tls_feed(client->session, bytes_of(in, (size_t)got));
        do {
            plain = tls_read(client->session, client->plain + client->plain_len,
                             sizeof(client->plain) - client->plain_len);
            client->plain_len += plain > 0 ? (size_t)plain : 0;
        } while (plain > 0);
        put(client);
    }
}

bool proxy_tls_kit_open(struct proxy_kit *kit, struct proxy_tls_client *client)
{
    for (uint32_t i = 0; i < TURNS && tls_status_of(client->session) == TLS_HANDSHAKING; i++) {
        proxy_tls_kit_step(client);
        if (client->ended) {
            break;
        }
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    return tls_status_of(client->session) == TLS_OPEN;
}

void proxy_tls_kit_send(struct proxy_tls_client *client, const char *text)
{
    const struct bytes part = cunit_text(text);

    CHECK_INT(tls_write(client->session, &part, 1), 0);
    put(client);
}

bool proxy_tls_kit_until(struct proxy_kit *kit, struct proxy_tls_client *client, const char *text)
{
    for (uint32_t i = 0; i < TURNS; i++) {
        if (memmem(client->plain, client->plain_len, text, strlen(text)) != NULL) {
            client->plain_len = 0;
            return true;
        }
        proxy_tls_kit_step(client);
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    return false;
}

void proxy_tls_kit_free(struct proxy_tls_client *client)
{
    close(client->fd);
    tls_session_destroy(client->session);
    tls_context_release(client->context);
    free(client);
}
