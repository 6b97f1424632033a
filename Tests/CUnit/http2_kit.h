/* Two sessions, or one and hand-made frames, wired in memory; what each is told is written down. */
#ifndef HTTP2_KIT_H
#define HTTP2_KIT_H

#include "http2/h2.h"

#define KIT_TEXT    65536u
#define KIT_STREAMS 64u

struct kit_stream {
    int32_t id;
    bool used;
    bool ended;  /* the peer's message */
    bool closed; /* ... the stream */
    bool finished;
    bool chunked;
    uint16_t refusal;
    uint32_t code;
    uint32_t heads;
    char head[H2_MAX_HEAD + 512]; /* the newest */
    char trailers[2048];
    char body[4096];
    size_t body_length; /* at most what `body` holds */
    size_t received;
    const char *send; /* body of our message */
    size_t sent;
    const char *send_trailers;
};

struct kit_side {
    struct h2_session *session;
    struct h2_memory memory;
    struct kit_stream streams[KIT_STREAMS];
    uint32_t opened;
    uint8_t out[KIT_TEXT];
    size_t out_length;
    bool alive; /* what h2_receive() said last */
    bool left;
    uint32_t pings;
    uint64_t now_ms;
};

extern const struct h2_limits kit_limits;

/* A cleared side gets its session from this memory. false: there is too little. */
[[nodiscard]] bool kit_begin(struct kit_side *side, bool server, struct h2_memory *memory);
/* The memory of both sides is taken once and checked to be unused at the end. */
void kit_open(struct kit_side *side, bool server);
void kit_close(struct kit_side *side);
/* Lets the side send, and gives what it says to the other, `piece` bytes at a time. */
void kit_exchange(struct kit_side *a, struct kit_side *b, size_t piece);
void kit_feed(struct kit_side *side, struct bytes bytes);
/* Drops what it has to say; whether that ends with GOAWAY of this code. */
bool kit_said_goaway(struct kit_side *side, uint32_t code);
/* A frame as it stands in the wire; its length. */
size_t kit_frame(uint8_t *out, uint8_t type, uint8_t flags, uint32_t id, struct bytes payload);
/* The client's preface with empty settings. */
struct bytes kit_preface(void);

#endif
