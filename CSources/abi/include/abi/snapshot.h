/* A snapshot: everything a worker routes by, in one sealed memory file.
 *
 *   +--------------------+ 0
 *   | abi_snapshot       |  header with the place of every section
 *   +--------------------+ 16-byte aligned
 *   | section 0 ...      |  records back to back, sections in the order of enum abi_section, each
 *   |                    |  beginning at the next multiple of 16, the gap filled with zeros
 *   +--------------------+ size (a multiple of 16)
 *
 * Written once, unmapped, sealed (F_SEAL_WRITE, _SHRINK, _GROW, _SEAL) and passed by descriptor:
 * the bytes that view_open() has checked cannot change under a reader. A new generation is a new
 * file. */
#ifndef ABI_SNAPSHOT_H
#define ABI_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "abi/balancing.h"
#include "abi/entries.h"
#include "abi/redirection.h"
#include "abi/tokens.h"

#define ABI_VERSION        2u
#define ABI_VERSION_OLDEST 2u /* the control plane speaks the current and the previous version */
#define ABI_SNAPSHOT_MAGIC 0x50414e534853454dULL /* "MESHSNAP" */
#define ABI_SECRETS_MAGIC  0x5243455348534544ULL
#define ABI_SECTION_ALIGN  16u

enum abi_section {
    ABI_SECTION_TEXT = 0,    /* bytes */
    ABI_SECTION_BLOB,        /* bytes */
    ABI_SECTION_LISTENER,    /* struct abi_listener */
    ABI_SECTION_ROUTE_TABLE, /* struct abi_route_table */
    ABI_SECTION_HOST,        /* struct abi_host */
    ABI_SECTION_ROUTE_LIST,  /* uint32_t: indexes into ROUTE */
    ABI_SECTION_ROUTE,       /* struct abi_route */
    ABI_SECTION_MATCH,       /* struct abi_match */
    ABI_SECTION_HEADER_OP,   /* struct abi_header_op */
    ABI_SECTION_DFA,         /* struct abi_dfa */
    ABI_SECTION_SPLIT,       /* struct abi_split */
    ABI_SECTION_TARGET,      /* struct abi_target */
    ABI_SECTION_TARGET_LIST, /* uint32_t: indexes into TARGET */
    ABI_SECTION_ENDPOINT,    /* struct abi_endpoint */
    ABI_SECTION_POLICY,      /* struct abi_policy */
    ABI_SECTION_INTENTION,   /* struct abi_intention */
    ABI_SECTION_PERMISSION,  /* struct abi_permission */
    ABI_SECTION_IDENTITY,    /* struct abi_identity */
    ABI_SECTION_TLS,         /* struct abi_tls */
    ABI_SECTION_SECRET_LIST, /* uint64_t: ids in the secrets region */
    ABI_SECTION_LOG,         /* struct abi_log */
    ABI_SECTION_LOG_OP,      /* struct abi_log_op */
    ABI_SECTION_LOG_HEADER,  /* struct abi_log_header */
    ABI_SECTION_SERVER_NAME, /* struct abi_server_name */
    ABI_SECTION_NETWORK,     /* struct abi_network */
    ABI_SECTION_HOPS,        /* struct abi_hops */
    ABI_SECTION_COMPRESSION, /* struct abi_compression */
    ABI_SECTION_MEDIA_TYPE,  /* struct abi_text */
    ABI_SECTION_TRAFFIC,     /* struct abi_traffic */
    ABI_SECTION_GUARD,       /* struct abi_guard */
    ABI_SECTION_RATE,        /* struct abi_rate */
    ABI_SECTION_BALANCER,    /* struct abi_balancer */
    ABI_SECTION_TIER,        /* struct abi_tier */
    ABI_SECTION_SLOT,        /* uint32_t: tables of tiers */
    ABI_SECTION_HASH,        /* struct abi_hash */
    ABI_SECTION_ORIGINAL,    /* struct abi_original */
    ABI_SECTION_TOKEN,       /* struct abi_token */
    ABI_SECTION_TOKEN_CHECK, /* struct abi_token_check */
    ABI_SECTION_TOKEN_PLACE, /* struct abi_token_place */
    ABI_SECTION_COUNT
};

struct abi_section_place {
    uint64_t at;          /* bytes from the start of the file, a multiple of ABI_SECTION_ALIGN */
    uint32_t count;       /* records */
    uint32_t record_size; /* bytes, abi_record_size() of the section */
};

struct abi_snapshot {
    uint64_t magic;
    uint32_t version;             /* ABI_VERSION of the writer */
    uint32_t header_size;         /* sizeof(struct abi_snapshot) */
    uint64_t size;                /* bytes of the whole file */
    uint64_t generation;          /* > 0, growing */
    uint64_t secrets_generation;  /* the secrets region that has every secret named here */
    uint64_t written_at_ms;       /* Unix time, for people */
    uint64_t checksum;            /* abi_checksum() of all bytes after the header */
    struct abi_text trust_domain; /* of the mesh; empty without one */
    struct abi_text datacenter;
    struct abi_text node;
    struct abi_section_place sections[ABI_SECTION_COUNT];
};

_Static_assert(sizeof(struct abi_section_place) == 16, "layout");
_Static_assert(sizeof(struct abi_snapshot) == 80 + 16 * ABI_SECTION_COUNT, "layout");
_Static_assert(sizeof(struct abi_snapshot) % ABI_SECTION_ALIGN == 0, "sections start aligned");

/* --- secrets: private keys and ticket keys, in a file of their own ---
 *
 * Sealed as a snapshot is, mapped with MADV_DONTDUMP, never written to a log. `ids` are stable: a
 * renewed certificate keeps its id with a higher version. */

enum abi_secret_kind {
    ABI_SECRET_CERTIFICATE = 0, /* chain, key, names */
    ABI_SECRET_TICKET_KEYS =
        1, /* `key` is a list of 80-byte tls_ticket_key, the encrypting one first */
    ABI_SECRET_KIND_COUNT
};

struct abi_secret {
    uint64_t id; /* > 0; records are sorted by id */
    uint64_t version;
    uint64_t not_after_ms; /* Unix time; 0 = never */
    uint32_t kind;         /* enum abi_secret_kind */
    uint32_t _pad0;
    struct abi_ref chain; /* bytes from the start of the file: DER certificates, leaf first */
    struct abi_ref key;   /* bytes from the start of the file: DER private key */
    struct abi_ref names; /* bytes from the start of the file: the DNS names that it is for, each
                             followed by one NUL; for people, lookups have their own table */
};

struct abi_secrets {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    uint64_t size;
    uint64_t generation;
    uint64_t checksum; /* of all bytes after the header */
    uint32_t count;    /* struct abi_secret records right behind the header */
    uint32_t _pad0;
};

/* The secret with the ticket keys of the node. */
#define ABI_SECRET_ID_TICKETS 1u

_Static_assert(sizeof(struct abi_secret) == 56, "layout");
_Static_assert(sizeof(struct abi_secrets) == 48, "layout");

/* Checksum of shared regions: eight-byte words through a multiply-xor mix, a tail of zeros assumed.
 * It finds accidents, not malice: seals and SO_PEERCRED keep strangers out. A region can be summed
 * in pieces: start with the size of the whole, then pieces in order, each but the last a multiple
 * of eight bytes. */
static inline uint64_t abi_checksum_start(size_t size)
{
    return 0x9e3779b97f4a7c15ULL ^ (uint64_t)size;
}

static inline uint64_t abi_checksum_more(uint64_t h, const void *data, size_t size)
{
    const unsigned char *at = (const unsigned char *)data;

    while (size >= 8) {
        uint64_t word;
        __builtin_memcpy(&word, at, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
        at += 8;
        size -= 8;
    }
    if (size > 0) {
        uint64_t word = 0;
        __builtin_memcpy(&word, at, size);
        h = (h ^ word) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
    }
    return h;
}

static inline uint64_t abi_checksum(const void *data, size_t size)
{
    return abi_checksum_more(abi_checksum_start(size), data, size);
}

#endif
