#include "worker/questions.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/limits.h"
#include "cunit.h"

static const struct abi_token_verdict sample = {.magic = ABI_TOKENS_MAGIC,
                                                .held = 1,
                                                .id = 0x1122334455667788,
                                                .check = 7,
                                                .life_ms = LIMIT_TOKEN_LIFE_MS};

static bool reads(const void *bytes, size_t length)
{
    struct abi_token_verdict verdict;

    return questions_read(cunit_guarded(bytes_of(bytes, length)), &verdict);
}

TEST(a_verdict_is_read_in_its_whole_length_only)
{
    uint8_t longer[sizeof(sample) + 1] = {0};
    struct abi_token_verdict read;

    CHECK(questions_read(bytes_of(&sample, sizeof(sample)), &read));
    CHECK(memcmp(&read, &sample, sizeof(sample)) == 0);
    for (size_t length = 0; length < sizeof(sample); length++) {
        cunit_context("%zu bytes", length);
        CHECK(!reads(&sample, length));
    }
    memcpy(longer, &sample, sizeof(sample));
    CHECK(!reads(longer, sizeof(longer)));
}

TEST(a_verdict_out_of_its_bounds_is_none)
{
    struct abi_token_verdict verdict = sample;

    verdict.held = 0;
    verdict.life_ms = 0;
    CHECK(reads(&verdict, sizeof(verdict)));
    verdict = sample;
    verdict.magic++;
    CHECK(!reads(&verdict, sizeof(verdict)));
    verdict = sample;
    verdict.held = 2;
    CHECK(!reads(&verdict, sizeof(verdict)));
    verdict = sample;
    verdict.life_ms++;
    CHECK(!reads(&verdict, sizeof(verdict)));
    verdict = sample;
    verdict._pad0 = 1;
    CHECK(!reads(&verdict, sizeof(verdict)));
}

TEST(messages_that_are_none_are_left_out)
{
    int pair[2];
    struct abi_token_verdict verdict;

    CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    CHECK_INT(questions_take(pair[0], &verdict), QUESTIONS_NOTHING);
    CHECK_INT(send(pair[1], "x", 1, 0), 1);
    CHECK_INT(send(pair[1], &sample, sizeof(sample), 0), sizeof(sample));
    CHECK_INT(questions_take(pair[0], &verdict), QUESTIONS_NONSENSE);
    CHECK_INT(questions_take(pair[0], &verdict), QUESTIONS_VERDICT);
    CHECK(memcmp(&verdict, &sample, sizeof(sample)) == 0);
    close(pair[1]);
    CHECK_INT(questions_take(pair[0], &verdict), QUESTIONS_OVER);
    close(pair[0]);
}

/* Who is asked and does not read is not waited for. */
TEST(a_full_socket_takes_no_question)
{
    static struct {
        struct abi_token_question head;
        uint8_t token[LIMIT_TOKEN_SIZE];
    } question = {.head = {.magic = ABI_TOKENS_MAGIC, .length = LIMIT_TOKEN_SIZE}};
    int pair[2];
    uint32_t taken = 0;

    CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    while (taken < 100000 && questions_ask(pair[0], &question.head)) {
        taken++;
    }
    CHECK(taken > 0 && taken < 100000);
    CHECK_INT(recv(pair[1], &question, sizeof(question), 0), sizeof(question));
    CHECK(questions_ask(pair[0], &question.head));
    close(pair[0]);
    close(pair[1]);
}
