/* Questions about tokens and their verdicts, from the side of a worker: abi/tokens.h. The socket is
 * the worker's, which asks and takes what is there; nothing here waits. */
#ifndef WORKER_QUESTIONS_H
#define WORKER_QUESTIONS_H

#include <stdbool.h>

#include "abi/tokens.h"
#include "base/bytes.h"

/* Sends a question with the token behind it. false: it is not on its way, and nobody will answer.
 */
[[nodiscard]] bool questions_ask(int socket, const struct abi_token_question *question);

enum questions_got {
    QUESTIONS_NOTHING = 0, /* no more for now */
    QUESTIONS_VERDICT,     /* *verdict is one */
    QUESTIONS_NONSENSE,    /* a message that is none: left out */
    QUESTIONS_OVER,        /* the supervisor is gone: nobody can ever answer */
};
/* Takes the next message. */
[[nodiscard]] enum questions_got questions_take(int socket, struct abi_token_verdict *verdict);

/* Reads one message; *verdict is set when it is of the form that abi/tokens.h describes. */
[[nodiscard]] bool questions_read(struct bytes message, struct abi_token_verdict *verdict);

#endif
