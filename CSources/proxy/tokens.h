/* What this worker knows of tokens; private to the room. Whether a token is good the control plane
 * says, once: its verdict is kept until it ends, and a request that needs one that is not there
 * waits for it, its head unread in its connection. Verdicts know a token by its digest; its bytes
 * are held of the one that was looked at last. */
#ifndef PROXY_TOKENS_H
#define PROXY_TOKENS_H

#include "conn.h"
#include "table/token.h"

struct request;

size_t tokens_size(void);
void tokens_init(struct tokens *tokens);

/* Whether all is known of a request's tokens that decides about it, which are judged from here on;
 * else what is not is asked for, and it waits with its head unread (*waits), or it is over: 503.
 * Its listener is there. */
bool tokens_are_known(struct proxy *proxy, struct conn *conn, struct route_input *input,
                      bool *waits);

/* route_input.judge; the context is the proxy. The first token that nothing is known of is
 * remembered, for who asks about it. */
enum route_token tokens_judge(void *context, uint32_t check, struct bytes token);

/* Another decision: the token that the one before lacked is forgotten. */
void tokens_forget(struct proxy *proxy);
/* tokens_judge() takes the unknown token for good, until it is told otherwise. */
void tokens_suppose(struct proxy *proxy, bool held);
/* Asks about the token that tokens_judge() remembers, for a copy that has its original yet:
 * mirror_judged() is told of the verdict if it comes in time. false: it cannot be asked now. */
bool tokens_await_copy(struct proxy *proxy, struct request *copy);

/* The answer to a question: kept, and those that wait for it go on. */
void tokens_take(struct proxy *proxy, const struct abi_token_verdict *verdict);

#endif
