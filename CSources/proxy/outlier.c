/* All counters are shared by the workers of the node. They are single words, each right by itself:
 * of two workers that see the last failure at once, the one that moves `ejected_until_ms` ejects.
 */
#include "outlier.h"

#include "base/num.h"
#include "l7.h"

static struct abi_tally_endpoint *outlier_of(struct proxy *proxy, const struct request *request)
{
    return &abi_tally_endpoints(proxy->config.tally)[request->overlay_slot];
}

void outlier_watch(struct proxy *proxy, struct request *request, const struct abi_target *target,
                   const struct abi_endpoint *endpoint)
{
    struct abi_tally_endpoint *counted =
        &abi_tally_endpoints(proxy->config.tally)[endpoint->overlay_slot];

    if (__atomic_load_n(&counted->key, __ATOMIC_RELAXED) != endpoint->key) {
        /* The slot was another endpoint's. */
        __atomic_store_n(&counted->ejected_until_ms, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&counted->failures, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&counted->gateway_failures, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&counted->ejections, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&counted->key, endpoint->key, __ATOMIC_RELEASE);
    }
    request->flags |= REQUEST_WATCHED;
    request->watched_key = target->key;
}

void outlier_succeeded(struct proxy *proxy, const struct request *request)
{
    struct abi_tally_endpoint *counted = outlier_of(proxy, request);

    if (__atomic_load_n(&counted->failures, __ATOMIC_RELAXED) != 0) {
        __atomic_store_n(&counted->failures, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&counted->gateway_failures, 0, __ATOMIC_RELAXED);
    }
}

/* Whether so many endpoints are left out already that this one must stay. */
static bool outlier_is_enough(struct proxy *proxy, const struct view *view,
                              const struct abi_target *target, const struct abi_guard *guard)
{
    const struct abi_tally_endpoint *counted = abi_tally_endpoints(proxy->config.tally);
    uint64_t ejected = 0;

    for (uint32_t i = 0; i < target->endpoints.count; i++) {
        const struct abi_endpoint *endpoint = &view->endpoints[target->endpoints.at + i];
        const struct abi_tally_endpoint *one = &counted[endpoint->overlay_slot];

        ejected += __atomic_load_n(&one->key, __ATOMIC_RELAXED) == endpoint->key &&
                   __atomic_load_n(&one->ejected_until_ms, __ATOMIC_RELAXED) > proxy->now_ms;
    }
    return ejected > 0 &&
           (ejected + 1) * 100 > (uint64_t)target->endpoints.count * guard->ejected_most;
}

static void outlier_eject(struct proxy *proxy, const struct request *request,
                          const struct abi_guard *guard)
{
    struct abi_tally_endpoint *counted = outlier_of(proxy, request);
    uint64_t until_ms = __atomic_load_n(&counted->ejected_until_ms, __ATOMIC_RELAXED);
    uint64_t times = __atomic_load_n(&counted->ejections, __ATOMIC_RELAXED);
    uint64_t forgiven;

    if (until_ms > proxy->now_ms) {
        return; /* what was under way when it was left out */
    }
    forgiven = until_ms == 0 ? 0 : (proxy->now_ms - until_ms) / guard->interval_ms;
    times = times > forgiven ? times - forgiven + 1 : 1;
    if (!__atomic_compare_exchange_n(
            &counted->ejected_until_ms, &until_ms,
            proxy->now_ms + num_min_u64(guard->ejection_ms * times, guard->ejection_max_ms), false,
            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return; /* another worker was first */
    }
    __atomic_store_n(&counted->ejections, (uint32_t)num_min_u64(times, UINT32_MAX),
                     __ATOMIC_RELAXED);
    __atomic_store_n(&counted->failures, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&counted->gateway_failures, 0, __ATOMIC_RELAXED);
    abi_stat_add(&request->target_stats->counters[ABI_TARGET_EJECTIONS], 1);
}

void outlier_failed(struct proxy *proxy, const struct request *request, bool gateway)
{
    struct abi_tally_endpoint *counted = outlier_of(proxy, request);
    const struct view *view = &proxy->current->view;
    uint32_t failures = __atomic_add_fetch(&counted->failures, 1, __ATOMIC_RELAXED);
    uint32_t gateways = 0;
    const struct abi_target *target;
    const struct abi_guard *guard;
    uint32_t index;

    if (gateway) {
        gateways = __atomic_add_fetch(&counted->gateway_failures, 1, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(&counted->gateway_failures, 0, __ATOMIC_RELAXED);
    }
    index = view_find_target(view, request->watched_key);
    target = index == ABI_NONE ? NULL : &view->targets[index];
    if (target == NULL || target->guard == ABI_NONE) {
        return;
    }
    guard = &view->guards[target->guard];
    if ((guard->failures == 0 || failures < guard->failures) &&
        (guard->gateway_failures == 0 || gateways < guard->gateway_failures)) {
        return;
    }
    if (proxy_random(proxy) % 100 < guard->ejected_chance &&
        !outlier_is_enough(proxy, view, target, guard)) {
        outlier_eject(proxy, request, guard);
    }
}

void outlier_answered(struct proxy *proxy, const struct request *request, uint16_t status)
{
    if (status < 500) {
        outlier_succeeded(proxy, request);
    } else {
        outlier_failed(proxy, request, status >= 502 && status <= 504);
    }
}
