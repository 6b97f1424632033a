/* Every bound of the product, with the arithmetic between them. The control plane refuses a
 * configuration beyond a bound before it is published; the data plane refuses a snapshot beyond it.
 */
#ifndef ABI_LIMITS_H
#define ABI_LIMITS_H

#include <stdint.h>

/* --- one node --- */
#define LIMIT_WORKERS          64u
#define LIMIT_LISTENERS        1024u
#define LIMIT_TARGETS          32768u  /* also the service slots of a stats region */
#define LIMIT_ENDPOINTS        262144u /* also the words of the overlay */
#define LIMIT_ROUTES           262144u
#define LIMIT_TABLE_ROUTES     131072u /* of one listener, and of one host */
#define LIMIT_INTENTIONS       1048576u
#define LIMIT_SNAPSHOT_SIZE    268435456u /* bytes */
#define LIMIT_SECRETS_SIZE     134217728u /* bytes */
#define LIMIT_SECRETS          65536u
#define LIMIT_LIVE_VIEWS       4u      /* generations that one worker may hold at a time */
#define LIMIT_FAILOVERS        16u     /* targets tried for one request */
#define LIMIT_TEXT             16384u  /* bytes of one string */
#define LIMIT_SPLITS           256u    /* legs of one list of splits */
#define LIMIT_HOST_PROBES      64u     /* slots of a host table that one lookup may visit */
#define LIMIT_DFA_STATES       4096u   /* of one automaton */
#define LIMIT_SERVER_NAMES     262144u /* slots of tables of server names, together */
#define LIMIT_TICKET_KEYS      8u      /* known at a time: next, current, those that only open */
#define LIMIT_NETWORKS         1024u   /* of one list of trusted ones */
#define LIMIT_INNER_LISTENERS  512u    /* services that redirected connections may be for */
#define LIMIT_ORIGINALS        65536u  /* addresses of these services */
#define LIMIT_VIRTUAL_IPS      32768u  /* services of the mesh that are given one */
#define LIMIT_HOPS             32u     /* proxies in front that one request may name */
#define LIMIT_MEDIA_TYPES      64u     /* compressed by one listener */
#define LIMIT_LEVEL_GZIP       9u
#define LIMIT_LEVEL_BROTLI     6u        /* higher ones take several times the memory */
#define LIMIT_LEVEL_ZSTD       3u        /* as above */
#define LIMIT_RETRY_CODES      8u        /* statuses that one route lists as worth another try */
#define LIMIT_BACKOFF_MS       60000u    /* between two tries of one request */
#define LIMIT_LIFETIME_MS      86400000u /* of a connection, where it is bounded at all */
#define LIMIT_EJECTION_MS      86400000u /* an endpoint is left out for at most */
#define LIMIT_RATES            65536u    /* of one snapshot */
#define LIMIT_ROUTE_RATES      8u        /* that one request is asked against */
#define LIMIT_RATE_BURST       100000u
#define LIMIT_RATE_INTERVAL_NS 86400000000000u /* one request a day */
#define LIMIT_BUCKETS          65536u          /* token buckets of the node that are not full */
#define LIMIT_TIERS            3u        /* of one target: same zone, same region, elsewhere */
#define LIMIT_TARGET_HASHES    16u       /* parts of a request that are hashed for one target */
#define LIMIT_CHOICES          100u      /* endpoints compared for one request */
#define LIMIT_RING_POINTS      1048576u  /* of one ring */
#define LIMIT_MAGLEV_SLOTS     1048573u  /* of one table, a prime */
#define LIMIT_HASH_SLOTS       16777216u /* of all rings and tables; a point of a ring takes two */
#define LIMIT_SLOW_START_MS    86400000u
#define LIMIT_DECAY_MS         3600000u
#define LIMIT_COOKIE_NAME      256u
#define LIMIT_COOKIE_REST      1024u  /* bytes of a cookie's attributes */
#define LIMIT_TOKENS           65536u /* requirements of tokens in one snapshot */
#define LIMIT_TOKEN_ALSO       2u     /* requirements that hold together: the entry's, the rule's */

/* --- one worker --- */
#define LIMIT_CONNECTIONS        65536u /* downstream and upstream together */
#define LIMIT_REQUESTS           32768u /* in flight */
#define LIMIT_SPILL_BLOCKS       4096u  /* 16 KiB each: 64 MiB of unsent bytes */
#define LIMIT_SMALL_BUFFERS      512u   /* 4 KiB each */
#define LIMIT_LARGE_BUFFERS      32u    /* 64 KiB each */
#define LIMIT_PIPES              32u
#define LIMIT_TLS_CONTEXTS       4096u
#define LIMIT_TLS_LEAVES         1024u /* parsed certificates kept: 8 KiB each, 8 MiB */
#define LIMIT_POOL_IDLE          8192u /* idle upstream connections */
#define LIMIT_POOL_IDLE_ENDPOINT 1024u /* of them to one endpoint */
#define LIMIT_POOL_IDLE_CLIENT   4u    /* kept for one client that their PROXY header names */
#define LIMIT_EVENTS             512u  /* completions run in one loop turn */
#define LIMIT_COMPRESSIONS       64u   /* bodies at a time, 2 MiB each; more go as they came */
#define LIMIT_MIRRORS            1024u /* copies of requests under way */

/* --- tokens of requests, in one worker --- */
#define LIMIT_TOKEN_SIZE     8192u   /* bytes of one token; longer ones are none */
#define LIMIT_TOKEN_VERDICTS 16384u  /* kept, 56 bytes each */
#define LIMIT_TOKEN_FLIGHTS  64u     /* questions without an answer */
#define LIMIT_TOKEN_SOURCE   16u     /* ... of them for one listener */
#define LIMIT_TOKEN_WAITERS  2048u   /* requests that wait for verdicts */
#define LIMIT_TOKEN_WAIT_MS  3000u   /* at most, all in all */
#define LIMIT_TOKEN_LIFE_MS  300000u /* of a verdict */

/* --- one connection --- */
#define LIMIT_SPILL_HIGH     262144u /* unsent bytes above which the source is not read */
#define LIMIT_SPILL_LOW      65536u  /* below which it is read again */
#define LIMIT_PIPELINE       64u /* requests read ahead of their answers, by bytes held: one head */
#define LIMIT_DIALS          4u  /* endpoints that one try goes to until one takes the connection */
#define LIMIT_RETRIES        10u /* further tries of one request: as many as may be owed at first */
#define LIMIT_REPLAY         262144u /* bytes of a request's body kept for another try */
#define LIMIT_REPLAY_DEFAULT 16384u  /* ... where a route does not say */
#define LIMIT_MIRROR_HELD    65536u  /* bytes of a copy's body that wait for its connection */

/* --- HTTP/2 --- */
#define LIMIT_H2_MEMORY          268435456u /* bytes of all sessions of a worker */
#define LIMIT_H2_STREAMS         100u       /* open at a time on one connection */
#define LIMIT_H2_HEAD            20480u     /* bytes of a list of fields, each with 32 more */
#define LIMIT_H2_BLOCK           32768u     /* bytes of a block of fields as it is compressed */
#define LIMIT_H2_STREAM_WINDOW   131072u    /* bytes of a body on their way or held */
#define LIMIT_H2_WINDOW          262144u    /* ... of all streams of a connection */
#define LIMIT_H2_STREAM_HIGH     65536u     /* unsent bytes of a stream that stop its source */
#define LIMIT_H2_STREAM_LOW      16384u     /* ... start it again; stop it where many wait */
#define LIMIT_H2_HELD            1048576u   /* unsent bytes of a connection's streams: many */
#define LIMIT_H2_CALM            1000u      /* frames in a row that do no work */
#define LIMIT_H2_CALM_PER_SECOND 100u

/* --- access logs --- */
#define LIMIT_LOGS        64u      /* of one snapshot */
#define LIMIT_LOG_OPS     256u     /* of one log */
#define LIMIT_LOG_HEADERS 8u       /* fields of requests and answers that one log names */
#define LIMIT_LOG_RECORD  9216u    /* bytes of one record, its texts included */
#define LIMIT_LOG_LINE    65536u   /* bytes of one line as it is written */
#define LIMIT_LOG_RING    4194304u /* bytes of records that wait, per worker */
#define LIMIT_LOG_PATH    4095u    /* bytes of a file's name */

/* --- spans, and counters of routes and endpoints --- */
#define LIMIT_SPAN_RECORD    4352u    /* bytes of one span, its texts included */
#define LIMIT_SPAN_RING      1048576u /* bytes of spans that wait, per worker */
#define LIMIT_SPAN_STATE     512u     /* bytes of tracestate that a span keeps (W3C 3.3.1.5) */
#define LIMIT_ROUTE_SLOTS    16384u   /* routes that are counted, the first come */
#define LIMIT_ENDPOINT_SLOTS 16384u   /* endpoints that are: those with the first overlay slots */

/* --- control channel --- */
#define LIMIT_CONTROL_MESSAGE 4096u   /* bytes */
#define LIMIT_REASON          240u    /* bytes of a reason, with its NUL */
#define LIMIT_PREPARE_MS      2000u   /* a worker that has not answered by then has no veto */
#define LIMIT_VIEW_SLICE_NS   200000u /* work of view_open in one loop turn */
#define LIMIT_PROGRAM_PATH    1024u   /* bytes of a program's path, with its NUL */
#define LIMIT_ELDERS          2u      /* data planes of before that may drain at a time */

_Static_assert(LIMIT_TABLE_ROUTES >= 10000u * 10u, "ten thousand hosts with ten paths each");
_Static_assert(LIMIT_ROUTES >= 2u * LIMIT_TABLE_ROUTES, "two of the greatest listeners fit");
_Static_assert(LIMIT_CONNECTIONS <= 1u << 24, "a slot has 24 bits in a ring token");
_Static_assert(LIMIT_REQUESTS <= LIMIT_CONNECTIONS, "every request has a connection");
_Static_assert(LIMIT_MIRRORS <= LIMIT_REQUESTS / 8, "copies take no place from requests");
_Static_assert(LIMIT_SPILL_LOW < LIMIT_SPILL_HIGH, "reading must be able to start again");
_Static_assert(LIMIT_REPLAY <= LIMIT_SPILL_HIGH, "a body that is sent again does not overfill");
_Static_assert(LIMIT_REPLAY_DEFAULT <= LIMIT_REPLAY, "what is kept is bounded");
_Static_assert(LIMIT_SPILL_HIGH / 16384u < LIMIT_SPILL_BLOCKS / 64u,
               "sixty-four stalled connections do not empty the pool");
_Static_assert(LIMIT_H2_STREAM_LOW < LIMIT_H2_STREAM_HIGH, "reading must be able to start again");
_Static_assert(LIMIT_H2_WINDOW <= LIMIT_SPILL_HIGH, "bodies that nobody takes yet are held");
_Static_assert(LIMIT_H2_STREAM_WINDOW <= LIMIT_H2_WINDOW, "one stream does not own the connection");
_Static_assert(LIMIT_H2_BLOCK >= LIMIT_H2_HEAD, "a head that is not compressed fits");
_Static_assert(LIMIT_LOG_RING / LIMIT_LOG_RECORD >= 256u,
               "a worker may be hundreds of the longest records ahead");
_Static_assert(LIMIT_LOG_RECORD <= 65535u, "places in a record have 16 bits");
_Static_assert(LIMIT_SPAN_RING / LIMIT_SPAN_RECORD >= 200u,
               "a worker may be hundreds of the longest spans ahead");
_Static_assert(LIMIT_SPAN_RECORD <= 65535u, "places in a record have 16 bits");
_Static_assert(LIMIT_ROUTE_SLOTS < 65535u, "a route's slot has 16 bits, all ones being none");
_Static_assert(LIMIT_ENDPOINT_SLOTS <= LIMIT_ENDPOINTS, "overlay slots count endpoints too");
_Static_assert(LIMIT_SERVER_NAMES >= 4u * LIMIT_SECRETS,
               "every certificate may have a name, with a table half full");
_Static_assert(LIMIT_TLS_LEAVES % 8u == 0, "sets of eight");
_Static_assert(LIMIT_POOL_IDLE_CLIENT * 4 <= LIMIT_POOL_IDLE_ENDPOINT,
               "few clients do not fill the pool of an endpoint");
_Static_assert(LIMIT_INNER_LISTENERS <= LIMIT_LISTENERS / 2,
               "services that come by themselves leave room for listeners that were written");
_Static_assert(LIMIT_ORIGINALS >= 128u * LIMIT_INNER_LISTENERS, "every such service has addresses");
_Static_assert(LIMIT_VIRTUAL_IPS <= LIMIT_ORIGINALS / 2u,
               "instances have addresses besides those that their services are given");
_Static_assert(LIMIT_HOPS <= 255u, "their number is one byte of a record");
_Static_assert(LIMIT_WORKERS <= 64u, "a set of workers is one 64-bit word");
_Static_assert(LIMIT_MAGLEV_SLOTS > 3u * LIMIT_ENDPOINTS, "every endpoint has some slots");
_Static_assert(2u * LIMIT_RING_POINTS <= LIMIT_HASH_SLOTS / 4u, "four of the greatest rings fit");
_Static_assert(4u * LIMIT_HASH_SLOTS <= LIMIT_SNAPSHOT_SIZE / 2u, "tables leave room for the rest");

_Static_assert((uint64_t)LIMIT_RATE_BURST *LIMIT_RATE_INTERVAL_NS < UINT64_MAX / 2,
               "an emptied bucket is full again at a time that can be written down");
_Static_assert(LIMIT_BUCKETS % 8u == 0, "sets of eight");
_Static_assert(LIMIT_TOKEN_VERDICTS % 8u == 0, "sets of eight");
_Static_assert(LIMIT_TOKEN_SOURCE <= LIMIT_TOKEN_FLIGHTS / 4,
               "one listener leaves room for others");

#endif
