/* Lists of revoked certificates: whom they shut out, and that a missing one shuts out, too. */
#include "cunit.h"

#include <stdlib.h>

#include <openssl/crypto.h>

#include "base/must.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

/* A list of `issuer` that ends `rest_s` from now, with the serial of `revoked` in it, if any. */
static struct bytes list_of(const struct tls_kit_cert *issuer, const struct tls_kit_cert *revoked,
                            int64_t rest_s)
{
    X509_CRL *list = X509_CRL_new_ex(tls_engine.library, NULL);
    ASN1_TIME *begin = X509_gmtime_adj(NULL, -7200);
    ASN1_TIME *end = X509_gmtime_adj(NULL, (long)rest_s);
    EVP_MD *hash = EVP_MD_fetch(tls_engine.library, "SHA256", NULL);
    unsigned char *der = NULL;
    int len;

    MUST(X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1);
    MUST(X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->x509)) == 1);
    MUST(X509_CRL_set1_lastUpdate(list, begin) == 1);
    MUST(X509_CRL_set1_nextUpdate(list, end) == 1);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();

        MUST(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509)) == 1);
        MUST(X509_REVOKED_set_revocationDate(entry, begin) == 1);
        MUST(X509_CRL_add0_revoked(list, entry) == 1);
    }
    MUST(X509_CRL_sign(list, issuer->key, hash) > 0);
    len = i2d_X509_CRL(list, &der);
    MUST(len > 0);
    EVP_MD_free(hash);
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
    X509_CRL_free(list);
    return bytes_of(der, (size_t)len);
}

static void free_list(struct bytes list)
{
    OPENSSL_free((void *)(uintptr_t)list.ptr);
}

struct shown { /* what a client shows, and what the server goes by */
    const struct tls_kit_cert *leaf;
    const struct tls_kit_cert *behind; /* NULL: nothing */
    struct bytes trust[4];             /* one behind the other */
};

static struct bytes join(const struct bytes parts[static 4])
{
    uint8_t *out = malloc(parts[0].len + parts[1].len + parts[2].len + parts[3].len);
    size_t len = 0;

    MUST(out != NULL);
    for (int i = 0; i < 4; i++) {
        if (parts[i].len > 0) {
            memcpy(out + len, parts[i].ptr, parts[i].len);
        }
        len += parts[i].len;
    }
    return bytes_of(out, len);
}

static void check_shown(const struct shown *shown, const char *server_says)
{
    const struct tls_kit_cert *certs[2] = {shown->leaf, shown->behind};
    struct bytes chain = tls_kit_join(certs, shown->behind != NULL ? 2 : 1);
    struct bytes trust = join(shown->trust);
    struct tls_certificate use = {.chain = chain, .key = shown->leaf->key_der};
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    client.certificates = &use;
    server.trust = trust;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, (struct bytes){0}, NULL);
    tls_kit_run(&pair, 0);
    CHECK_STRING(tls_error(pair.server.session), server_says);
    CHECK_INT(tls_kit_is_open(&pair), strcmp(server_says, "no error") == 0);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
    tls_kit_join_free(chain);
    tls_kit_join_free(trust);
}

TEST(a_revoked_client_is_refused_and_others_are_not)
{
    const struct tls_kit_world *world = tls_kit_world();
    struct tls_kit_spec spec = {.name = "other", .issuer = &world->ca, .san = "URI:spiffe://a/b"};
    struct tls_kit_cert other = tls_kit_issue(&spec);
    struct bytes list = list_of(&world->ca, &other, 3600);
    struct shown shown = {.leaf = &other, .trust = {world->ca.der, list}};

    check_shown(&shown, "certificate revoked");
    shown.leaf = &world->client;
    check_shown(&shown, "no error");
    shown.trust[0] = list; /* in whatever order */
    shown.trust[1] = world->ca.der;
    check_shown(&shown, "no error");
    shown.leaf = &other;
    check_shown(&shown, "certificate revoked");
    shown.trust[0] = (struct bytes){0};
    check_shown(&shown, "no error"); /* no list, nobody asks */
    free_list(list);
    tls_kit_free(&other);
}

/* What cannot be known is not good: no list of the issuer, one that is over, one that somebody else
 * has signed in the issuer's name. */
TEST(without_a_good_list_of_its_issuer_a_client_is_refused)
{
    const struct tls_kit_world *world = tls_kit_world();
    struct tls_kit_spec foreign_spec = {.name = "another ca", .ca = true};
    struct tls_kit_cert foreign = tls_kit_issue(&foreign_spec);
    struct tls_kit_spec forged_spec = {.name = "mesh ca", .ca = true};
    struct tls_kit_cert forger = tls_kit_issue(&forged_spec);
    struct bytes elsewhere = list_of(&foreign, NULL, 3600);
    struct bytes over = list_of(&world->ca, NULL, -1);
    struct bytes forged;
    struct shown shown = {.leaf = &world->client, .trust = {world->ca.der, elsewhere}};

    check_shown(&shown, "unable to get certificate CRL");
    shown.trust[1] = over;
    check_shown(&shown, "CRL has expired");
    X509_set_subject_name(forger.x509, X509_get_subject_name(world->ca.x509));
    forged = list_of(&forger, NULL, 3600);
    shown.trust[1] = forged;
    check_shown(&shown, "CRL signature failure");
    free_list(elsewhere);
    free_list(over);
    free_list(forged);
    tls_kit_free(&forger);
    tls_kit_free(&foreign);
}

/* A client's certificate with one authority between it and the root. */
struct line {
    const struct tls_kit_cert *root;
    struct tls_kit_cert middle;
    struct tls_kit_cert leaf;
    struct bytes of_root; /* lists without anybody in them */
    struct bytes of_middle;
};

static void line_make(struct line *line)
{
    struct tls_kit_spec middle = {.name = "middle", .issuer = &tls_kit_world()->ca, .ca = true};
    struct tls_kit_spec leaf = {.name = "api", .issuer = &line->middle, .san = "URI:spiffe://a/b"};

    line->root = middle.issuer;
    line->middle = tls_kit_issue(&middle);
    line->leaf = tls_kit_issue(&leaf);
    line->of_root = list_of(line->root, NULL, 3600);
    line->of_middle = list_of(&line->middle, NULL, 3600);
}

static void line_free(struct line *line)
{
    free_list(line->of_root);
    free_list(line->of_middle);
    tls_kit_free(&line->leaf);
    tls_kit_free(&line->middle);
}

/* Each certificate below the trusted one needs a list: of the root and of the one between. */
TEST(authorities_between_are_looked_up)
{
    struct line line;
    struct bytes without_middle;
    struct shown shown;

    line_make(&line);
    without_middle = list_of(line.root, &line.middle, 3600);
    shown =
        (struct shown){&line.leaf, &line.middle, {line.root->der, line.of_root, line.of_middle}};
    check_shown(&shown, "no error");
    shown.trust[1] = without_middle;
    check_shown(&shown, "certificate revoked");
    shown.trust[1] = (struct bytes){0};
    check_shown(&shown, "unable to get certificate CRL");
    shown.trust[1] = line.of_root;
    shown.trust[2] = (struct bytes){0};
    check_shown(&shown, "unable to get certificate CRL");
    free_list(without_middle);
    line_free(&line);
}

/* A trusted intermediate needs no list about itself, whether there is one or not. */
TEST(what_is_trusted_needs_no_list)
{
    struct line line;
    struct bytes without_leaf;
    struct shown shown;

    line_make(&line);
    without_leaf = list_of(&line.middle, &line.leaf, 3600);
    shown = (struct shown){&line.leaf, NULL, {line.middle.der, line.of_middle}};
    check_shown(&shown, "no error");
    shown.trust[2] = line.of_root; /* whose issuer is not known here */
    check_shown(&shown, "no error");
    shown.trust[1] = without_leaf;
    check_shown(&shown, "certificate revoked");
    free_list(without_leaf);
    line_free(&line);
}

/* Every truncation of a list, and a list in the place of all authorities. */
TEST(what_is_no_list_is_refused)
{
    const struct tls_kit_world *world = tls_kit_world();
    struct bytes list = list_of(&world->ca, &world->client, 3600);
    struct tls_options options = tls_kit_server_options();
    struct tls_context *context;
    char why[128];

    for (size_t len = 1; len <= list.len; len++) {
        struct bytes parts[4] = {bytes_of(list.ptr, len)};
        struct bytes trust = join(parts);

        options.trust = trust;
        CHECK(tls_context_create(&options, &context, why, sizeof(why)) != 0);
        CHECK_STRING(why, len == list.len
                              ? "nothing is trusted, so no peer can be verified"
                              : "a trusted certificate or revocation list is not valid DER");
        tls_kit_join_free(trust);
    }
    free_list(list);
}
