/* Who still uses a generation; the last one gives it back. */
#include "generation.h"

#include "request.h"

void generation_use(struct proxy_generation *generation)
{
    generation->users++;
}

void generation_leave(struct proxy *proxy, struct proxy_generation *generation)
{
    MUST(generation->users > 0);
    generation->users--;
    if (generation->users == 0 && generation->retired) {
        tables_release(generation);
        proxy->config.released(proxy->config.context, generation);
    }
}
