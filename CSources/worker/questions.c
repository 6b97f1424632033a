#include "questions.h"

#include <errno.h>
#include <string.h>

#include "abi/limits.h"
#include "shm/shm.h"

bool questions_ask(int socket, const struct abi_token_question *question)
{
    /* A full buffer is an answer, too: nobody can say now. */
    return shm_send(socket, question, sizeof(*question) + question->length, NULL, 0) == 0;
}

bool questions_read(struct bytes message, struct abi_token_verdict *verdict)
{
    if (message.len != sizeof(*verdict)) {
        return false;
    }
    memcpy(verdict, message.ptr, sizeof(*verdict));
    return verdict->magic == ABI_TOKENS_MAGIC && verdict->held <= 1 &&
           verdict->life_ms <= LIMIT_TOKEN_LIFE_MS && verdict->_pad0 == 0;
}

enum questions_got questions_take(int socket, struct abi_token_verdict *verdict)
{
    uint8_t message[sizeof(*verdict)];
    struct shm_descriptors descriptors;
    ssize_t length = shm_receive(socket, message, sizeof(message), &descriptors);

    if (length == -EAGAIN) {
        return QUESTIONS_NOTHING;
    }
    if (length == 0 || length == -ECONNRESET) {
        return QUESTIONS_OVER;
    }
    if (length < 0) {
        return QUESTIONS_NONSENSE;
    }
    shm_close(&descriptors); /* none belongs to a verdict */
    return questions_read(bytes_of(message, (size_t)length), verdict) ? QUESTIONS_VERDICT
                                                                      : QUESTIONS_NONSENSE;
}
