/* What the library tells, passed on to the session's owner. */
#include "h2_private.h"

/* What the owner attached. The library looks for a stream each time it is asked; what comes for one
 * mostly comes together. */
static void *stream_of(struct h2_session *session, int32_t id)
{
    void *stream;

    if (id == session->known_id && id != 0) {
        return session->known;
    }
    stream = nghttp2_session_get_stream_user_data(session->library, id);
    session->known_id = stream == NULL ? 0 : id;
    session->known = stream;
    return stream;
}

/* Resets for faults of the peer cost it credit, as those that it sends itself do. */
static bool is_fault(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL &&
           code != NGHTTP2_CONNECT_ERROR;
}

static bool was_opened(const struct h2_session *session, int32_t id)
{
    int32_t back = (session->last - id) / 2;

    return back >= 64 || (session->opened >> back & 1) != 0;
}

static bool was_reset(const struct h2_session *session, int32_t id)
{
    if (session->resets > H2_RESETS) {
        return true; /* nobody remembers */
    }
    for (uint32_t i = 0; i < session->resets; i++) {
        if (session->reset[i] == id) {
            return true;
        }
    }
    return false;
}

bool h2_is_closed(const struct h2_session *session, int32_t id)
{
    return session->server && id <= session->last && id % 2 == 1 && !session->left &&
           nghttp2_session_find_stream(session->library, id) == NULL && !was_reset(session, id);
}

static void note_opened(struct h2_session *session, int32_t id)
{
    int32_t step = (id - session->last) / 2;

    session->opened = step >= 64 ? 1 : session->opened << step | 1;
    session->last = id;
}

/* Frames on streams that are no more (RFC 9113 5.1): the library forgets them and ignores such
 * frames. So it must be where we have reset the stream, of which the peer may not know yet; else
 * they are errors of the connection. */
static int on_begin_frame(nghttp2_session *library, const nghttp2_frame_hd *frame, void *context)
{
    struct h2_session *session = context;
    int32_t id = frame->stream_id;

    (void)library;
    if (!session->server || id % 2 == 0 || frame->type != NGHTTP2_HEADERS) {
        return 0;
    }
    if (id > session->last) {
        note_opened(session, id);
        return 0;
    }
    if (!h2_is_closed(session, id)) {
        return 0;
    }
    session->fault = was_opened(session, id) ? H2_STREAM_CLOSED : H2_PROTOCOL_ERROR;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *library, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = context;

    (void)library;
    return h2_block_open(session, frame) == NULL ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *library, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *context)
{
    struct h2_session *session = context;

    (void)library;
    (void)flags;
    if (session->block == NULL || session->block->stream != frame->hd.stream_id ||
        h2_block_add(session, name, value)) {
        return 0;
    }
    session->fault = H2_ENHANCE_YOUR_CALM;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* The library would drop such a field and go on. */
static int on_invalid_header(nghttp2_session *library, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                             void *context)
{
    struct h2_session *session = context;

    (void)name;
    (void)value;
    (void)flags;
    h2_block_drop(session);
    return nghttp2_submit_rst_stream(library, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_PROTOCOL_ERROR) == 0
               ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_headers(struct h2_session *session, const nghttp2_frame *frame)
{
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool opens = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    int32_t id = frame->hd.stream_id;
    struct h2_message message;
    void *stream;

    if (session->block == NULL || session->block->stream != id) {
        return 0;
    }
    if (opens && session->said_last && id > session->said) {
        stream = NULL; /* GOAWAY, which is on its way, says that it was not looked at */
    } else {
        stream = opens ? session->owner->opened(session->context, id) : stream_of(session, id);
    }
    if (opens && stream == NULL) {
        h2_block_drop(session);
        h2_reset(session, id, H2_REFUSED_STREAM);
        return 0;
    }
    if (opens) {
        (void)nghttp2_session_set_stream_user_data(session->library, id, stream);
        session->known_id = id;
        session->known = stream;
    }
    if (stream != NULL) {
        message = h2_block_close(session, end);
        session->owner->message(session->context, stream, &message);
    }
    h2_block_drop(session);
    return 0;
}

static int on_frame(nghttp2_session *library, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = context;
    void *stream;

    (void)library;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return on_headers(session, frame);
    case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            stream = stream_of(session, frame->hd.stream_id);
            if (stream != NULL) {
                session->owner->ended(session->context, stream);
            }
        }
        return 0;
    case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
            session->settled = true;
            session->owner->settled(session->context);
        }
        return 0;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) {
            session->owner->answered(session->context);
        }
        return 0;
    case NGHTTP2_GOAWAY:
        session->owner->leaving(session->context);
        return 0;
    default:
        return 0;
    }
}

static int on_data(nghttp2_session *library, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *context)
{
    struct h2_session *session = context;
    void *stream = stream_of(session, id);

    (void)flags;
    if (stream == NULL) { /* nobody wants it: it is used up */
        return nghttp2_session_consume_connection(library, length);
    }
    session->owner->data(session->context, stream, bytes_of(data, length));
    return 0;
}

static int on_close(nghttp2_session *library, int32_t id, uint32_t code, void *context)
{
    struct h2_session *session = context;
    void *stream = stream_of(session, id);

    (void)library;
    if (session->block != NULL && session->block->stream == id) {
        h2_block_drop(session);
    }
    session->known_id = 0;
    if (stream != NULL) {
        session->owner->closed(session->context, stream, code);
    }
    return 0;
}

static int on_sent(nghttp2_session *library, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = context;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    void *stream;

    (void)library;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        h2_guard_repay(&session->guard, &session->limits, 2);
        break;
    case NGHTTP2_HEADERS:
        h2_guard_repay(&session->guard, &session->limits, end ? 1 : 0);
        session->asked =
            frame->hd.stream_id > session->asked ? frame->hd.stream_id : session->asked;
        break;
    case NGHTTP2_RST_STREAM:
        session->reset[session->resets % H2_RESETS] = frame->hd.stream_id;
        session->resets += session->resets <= H2_RESETS;
        if (is_fault(frame->rst_stream.error_code) && !h2_guard_charge(&session->guard, 2)) {
            session->angry = true;
        }
        return 0;
    case NGHTTP2_GOAWAY:
        session->left = session->left || frame->goaway.last_stream_id != INT32_MAX;
        session->ended =
            session->ended || frame->goaway.error_code != NGHTTP2_NO_ERROR || session->finished;
        return 0;
    default:
        return 0;
    }
    if (!end) {
        return 0;
    }
    stream = stream_of(session, frame->hd.stream_id);
    if (stream != NULL) {
        session->owner->finished(session->context, stream);
    }
    return 0;
}

static int on_send_data(nghttp2_session *library, nghttp2_frame *frame, const uint8_t *header,
                        size_t length, nghttp2_data_source *source, void *context)
{
    struct h2_session *session = context;

    (void)library;
    (void)frame;
    session->emitted += 9 + length;
    session->owner->emit(session->context, bytes_of(header, 9));
    if (length > 0) {
        session->owner->emit_data(session->context, source->ptr, length);
    }
    return 0;
}

static int on_ignored(nghttp2_session *library, const nghttp2_frame *frame, int error,
                      void *context)
{
    struct h2_session *session = context;

    (void)library;
    (void)error;
    if (session->block != NULL && session->block->stream == frame->hd.stream_id) {
        h2_block_drop(session);
    }
    return 0;
}

/* Made once and never given back: all sessions share it. */
nghttp2_session_callbacks *h2_callbacks(void)
{
    static nghttp2_session_callbacks *callbacks;

    if (callbacks != NULL || nghttp2_session_callbacks_new(&callbacks) != 0) {
        return callbacks;
    }
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_ignored);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    return callbacks;
}

nghttp2_option *h2_options(void)
{
    static nghttp2_option *options;

    if (options != NULL || nghttp2_option_new(&options) != 0) {
        return options;
    }
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_continuations(options, SIZE_MAX);    /* the guard counts them */
    nghttp2_option_set_peer_max_concurrent_streams(options, 1); /* until its settings come */
    return options;
}
