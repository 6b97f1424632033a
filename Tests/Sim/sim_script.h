/* Peers that follow a list of steps: for scenarios that are conversations. */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "sim.h"

#define SIM_SCRIPT_SEEN 65536u

enum sim_step_kind {
    SIM_STEP_SEND = 0,   /* sends `bytes` */
    SIM_STEP_EXPECT,     /* the next bytes are `bytes` */
    SIM_STEP_UNTIL,      /* reads until `bytes` came; the program may check what was seen */
    SIM_STEP_COUNT,      /* reads `number` bytes */
    SIM_STEP_EXPECT_END, /* the stream ends here, in order */
    SIM_STEP_PAUSE,      /* `number` milliseconds */
    SIM_STEP_SHUTDOWN,
    SIM_STEP_CLOSE,
    SIM_STEP_RESET,
};

struct sim_step {
    enum sim_step_kind kind;
    struct bytes bytes;
    uint64_t number;
    /* With UNTIL and COUNT: what was read, the marker included; false fails the run. May be NULL.
     */
    bool (*check)(struct bytes seen);
};

#define SIM_SEND(text)         {SIM_STEP_SEND, BYTES_LITERAL(text), 0, NULL}
#define SIM_EXPECT(text)       {SIM_STEP_EXPECT, BYTES_LITERAL(text), 0, NULL}
#define SIM_UNTIL(text, check) {SIM_STEP_UNTIL, BYTES_LITERAL(text), 0, check}
#define SIM_COUNT(count, test) {SIM_STEP_COUNT, {NULL, 0}, count, test}
#define SIM_EXPECT_END()       {SIM_STEP_EXPECT_END, {NULL, 0}, 0, NULL}
#define SIM_PAUSE(ms)          {SIM_STEP_PAUSE, {NULL, 0}, ms, NULL}
#define SIM_SHUTDOWN()         {SIM_STEP_SHUTDOWN, {NULL, 0}, 0, NULL}
#define SIM_CLOSE()            {SIM_STEP_CLOSE, {NULL, 0}, 0, NULL}
#define SIM_RESET()            {SIM_STEP_RESET, {NULL, 0}, 0, NULL}

struct sim_script {
    const struct sim_step *steps;
    uint32_t count;
    uint32_t slow; /* reads at most so many bytes per millisecond; 0 = all at once */
    /* How it went, over all connections that followed it: */
    uint32_t begun;
    uint32_t completed; /* came to the end of the steps */
    uint32_t broken;    /* reset or refused on the way: for scenarios with such faults */
};

/* Connects and follows the script; anything against it fails the run, a reset or refusal is counted
 * as broken. The script lives as long as the world. */
void sim_script_connect(uint16_t port, struct sim_script *script);
/* Every connection to `port` follows the script from its start. */
void sim_script_serve(uint16_t port, struct sim_script *script);

#endif
