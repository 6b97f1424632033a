/* Token buckets of the node. One word says all of a bucket: when it will be full again. A bucket
 * that is full needs no memory, so the table holds only those that were used a moment ago; when a
 * set is crowded, the one that is full soonest gives way. */
#include "rates.h"

#include "base/hash.h"
#include "base/num.h"
#include "l7.h"
#include "mux.h"

#define RATES_WAYS 8u

/* Who shares the bucket of this request. */
static uint64_t rates_key(struct proxy *proxy, const struct request *request,
                          const struct abi_rate *rate)
{
    uint64_t key = rate->key;
    struct conn *down = request->down;

    switch ((enum abi_rate_by)rate->by) {
    case ABI_RATE_ALL:
    case ABI_RATE_BY_COUNT:
        break;
    case ABI_RATE_CLIENT:
        conn_peer(proxy, down);
        key = hash_finish(
            key ^ hash_bytes(bytes_of(request_has(request, REQUEST_CLIENT) ? request->client.bytes
                                                                           : down->peer_ip.bytes,
                                      sizeof(down->peer_ip.bytes))));
        break;
    case ABI_RATE_IDENTITY:
        key = hash_finish(key ^ hash_bytes(authz_source(proxy, down)));
        break;
    case ABI_RATE_CONNECTION:
        down = down->stream != NULL ? down->stream->mux->conn : down;
        key = hash_finish(key ^ conn_token(proxy, down, PROXY_KIND_RECEIVE));
        key = hash_finish(key + proxy->config.worker);
        break;
    }
    return key == 0 ? 1 : key;
}

/* The bucket with this key; one that was full before is taken for it. Two workers that take one
 * for the same key at the same moment may take two: a burst may then be had twice, once. */
static struct abi_tally_bucket *rates_bucket(struct proxy *proxy, uint64_t key, uint64_t now_ns)
{
    struct abi_tally_bucket *set = abi_tally_buckets(proxy->config.tally) +
                                   hash_finish(key) % (LIMIT_BUCKETS / RATES_WAYS) * RATES_WAYS;
    struct abi_tally_bucket *soonest = set;
    uint64_t least_ns = UINT64_MAX;

    for (uint32_t i = 0; i < RATES_WAYS; i++) {
        uint64_t full_ns = __atomic_load_n(&set[i].full_ns, __ATOMIC_RELAXED);

        if (__atomic_load_n(&set[i].key, __ATOMIC_RELAXED) == key) {
            return &set[i];
        }
        if (full_ns < least_ns) {
            least_ns = full_ns;
            soonest = &set[i];
        }
    }
    __atomic_store_n(&soonest->full_ns, now_ns, __ATOMIC_RELAXED);
    __atomic_store_n(&soonest->key, key, __ATOMIC_RELAXED);
    return soonest;
}

/* Takes a token; 0, or how long it takes until there is one. */
static uint64_t rates_take(struct abi_tally_bucket *bucket, const struct abi_rate *rate,
                           uint64_t now_ns)
{
    const uint64_t room_ns = (rate->burst - 1) * rate->interval_ns;
    uint64_t full_ns = __atomic_load_n(&bucket->full_ns, __ATOMIC_RELAXED);
    uint64_t from_ns;

    do {
        from_ns = full_ns > now_ns ? full_ns : now_ns;
        if (from_ns - now_ns > room_ns) {
            return from_ns - now_ns - room_ns;
        }
    } while (!__atomic_compare_exchange_n(&bucket->full_ns, &full_ns, from_ns + rate->interval_ns,
                                          true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return 0;
}

bool rates_admit(struct proxy *proxy, struct request *request, const struct view *view,
                 struct abi_ref rates, uint32_t *wait_s)
{
    for (uint32_t i = 0; i < rates.count; i++) {
        const struct abi_rate *rate = &view->rates[rates.at + i];
        uint64_t key = rates_key(proxy, request, rate);
        uint64_t wait_ns =
            rates_take(rates_bucket(proxy, key, request->started_ns), rate, request->started_ns);

        if (wait_ns > 0) {
            *wait_s = (uint32_t)((wait_ns + 999999999u) / 1000000000u);
            return false;
        }
    }
    return true;
}
