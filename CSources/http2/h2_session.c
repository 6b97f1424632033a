#include <string.h>

#include "h2_private.h"

/* --- memory --- */

static void *mem_malloc(size_t size, void *memory)
{
    return h2_memory_take(memory, size);
}

static void mem_free(void *object, void *memory)
{
    h2_memory_give(memory, object);
}

static void *mem_calloc(size_t count, size_t size, void *memory)
{
    size_t total;
    void *object;

    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    object = h2_memory_take(memory, total);
    return object == NULL ? NULL : memset(object, 0, total);
}

static void *mem_realloc(void *object, size_t size, void *memory)
{
    return h2_memory_resize(memory, object, size);
}

/* --- life --- */

static bool h2_announce(struct h2_session *session)
{
    const struct h2_limits *limits = &session->limits;
    nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->head},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };

    if (!session->server) {
        entries[2] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    return nghttp2_submit_settings(session->library, NGHTTP2_FLAG_NONE, entries,
                                   session->server ? 5 : 3) == 0 &&
           nghttp2_session_set_local_window_size(session->library, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)limits->window) == 0;
}

struct h2_session *h2_create(const struct h2_config *config)
{
    nghttp2_mem mem = {config->memory, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *callbacks = h2_callbacks();
    nghttp2_option *options = h2_options();
    struct h2_session *session = h2_memory_take(config->memory, sizeof(*session));
    int result;

    if (session == NULL || callbacks == NULL || options == NULL) {
        h2_memory_give(config->memory, session);
        return NULL;
    }
    memset(session, 0, sizeof(*session));
    session->owner = config->owner;
    session->context = config->context;
    session->memory = config->memory;
    session->limits = config->limits;
    session->server = config->server;
    session->secure = config->secure;
    session->seed = config->seed;
    h2_guard_start(&session->guard, &session->limits, config->server);
    result =
        config->server
            ? nghttp2_session_server_new3(&session->library, callbacks, session, options, &mem)
            : nghttp2_session_client_new3(&session->library, callbacks, session, options, &mem);
    if (result != 0) {
        h2_memory_give(config->memory, session);
        return NULL;
    }
    if (!h2_announce(session)) {
        h2_destroy(session);
        return NULL;
    }
    return session;
}

void h2_destroy(struct h2_session *session)
{
    h2_block_drop(session);
    nghttp2_session_del(session->library);
    h2_memory_give(session->memory, session);
}

/* --- bytes --- */

static enum h2_code h2_feed(struct h2_session *session, struct bytes in)
{
    ssize_t used = nghttp2_session_mem_recv(session->library, in.ptr, in.len);

    if (used >= 0) {
        return H2_NO_ERROR;
    }
    switch ((nghttp2_error)used) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        return H2_PROTOCOL_ERROR;
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        return H2_ENHANCE_YOUR_CALM;
    default:
        return session->fault != 0 ? (enum h2_code)session->fault : H2_INTERNAL_ERROR;
    }
}

/* Up to and with the header of a frame on a stream that the library does not know: once it has all
 * that came before, it has to. */
static enum h2_code h2_take(struct h2_session *session, struct bytes *in)
{
    struct h2_guard *guard = &session->guard;
    struct bytes whole = *in;
    enum h2_code code = H2_NO_ERROR;
    bool header = false;
    bool unknown = false;

    while (code == H2_NO_ERROR && in->len > 0 && !unknown) {
        code = h2_guard_step(guard, &session->limits, in, &header);
        unknown = header && guard->header[3] == NGHTTP2_DATA &&
                  (int32_t)guard->id != session->known_id &&
                  nghttp2_session_find_stream(session->library, (int32_t)guard->id) == NULL;
    }
    if (code == H2_NO_ERROR) {
        code = h2_feed(session, bytes_part(whole, 0, whole.len - in->len));
    }
    if (code == H2_NO_ERROR && unknown && h2_is_closed(session, (int32_t)guard->id)) {
        code = H2_STREAM_CLOSED;
    }
    return code;
}

bool h2_receive(struct h2_session *session, struct bytes in, uint64_t now_ms)
{
    enum h2_code code = session->angry ? H2_ENHANCE_YOUR_CALM : H2_NO_ERROR;

    h2_guard_refill(&session->guard, &session->limits, now_ms);
    while (code == H2_NO_ERROR && in.len > 0 && !session->finished && !session->ended) {
        code = h2_take(session, &in);
    }
    if (code != H2_NO_ERROR) {
        h2_terminate(session, code);
    }
    return !session->finished && !session->ended;
}

/* Streams that nobody wants any more, unless they have ended by themselves in the meantime. What
 * still waits for its turn is no stream yet, and would be asked with a body that is no more. */
static void h2_give_up(struct h2_session *session)
{
    for (uint32_t i = 0; i < session->abandoned_count; i++) {
        int32_t id = session->abandoned[i].id;

        if ((!session->server && id > session->asked) ||
            nghttp2_session_find_stream(session->library, id) != NULL) {
            h2_reset(session, id, (enum h2_code)session->abandoned[i].code);
        }
    }
    session->abandoned_count = 0;
}

bool h2_send(struct h2_session *session, size_t most)
{
    const uint8_t *bytes;
    ssize_t count;

    session->emitted = 0;
    do {
        h2_give_up(session);
        count = nghttp2_session_mem_send(session->library, &bytes);
        if (count < 0) {
            session->finished = true;
            session->ended = true;
            return true;
        }
        if (count > 0) {
            session->emitted += (size_t)count;
            session->owner->emit(session->context, bytes_of(bytes, (size_t)count));
        }
        if (session->angry && !session->finished) {
            h2_terminate(session, H2_ENHANCE_YOUR_CALM);
        }
    } while ((count > 0 || session->abandoned_count > 0) && session->emitted < most);
    return count == 0;
}

bool h2_is_over(const struct h2_session *session)
{
    if (nghttp2_session_want_write(session->library)) {
        return false;
    }
    return session->ended || (session->left && !nghttp2_session_want_read(session->library));
}

bool h2_is_within_head(const struct h2_session *session)
{
    return !session->settled || session->guard.within;
}

/* --- streams --- */

static ssize_t h2_read(nghttp2_session *library, int32_t id, uint8_t *to, size_t capacity,
                       uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct h2_session *session = context;
    struct h2_ready ready = session->owner->ready(session->context, source->ptr, capacity);
    struct h2_list list;

    (void)to;
    if (ready.count == 0 && !ready.last) {
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (ready.last) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (ready.trailers.len > 0 && h2_list_trailers(&list, ready.trailers) && list.count > 0 &&
            nghttp2_submit_trailer(library, id, list.fields, list.count) == 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
    }
    return (ssize_t)ready.count;
}

bool h2_answer(struct h2_session *session, int32_t id, struct bytes text, bool end)
{
    void *stream = nghttp2_session_get_stream_user_data(session->library, id);
    nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = h2_read};
    struct h2_list list;

    if (!h2_list_answer(&list, text)) {
        return false;
    }
    if (list.status < 200) {
        return nghttp2_submit_headers(session->library, NGHTTP2_FLAG_NONE, id, NULL, list.fields,
                                      list.count, NULL) == 0;
    }
    return nghttp2_submit_response(session->library, id, list.fields, list.count,
                                   end ? NULL : &body) == 0;
}

int32_t h2_request(struct h2_session *session, void *stream, struct bytes text, bool end)
{
    nghttp2_data_provider body = {.source = {.ptr = stream}, .read_callback = h2_read};
    struct h2_list list;
    int32_t id;

    if (!h2_list_request(&list, text, session->secure)) {
        return 0;
    }
    id = nghttp2_submit_request(session->library, NULL, list.fields, list.count, end ? NULL : &body,
                                stream);
    return id < 0 ? 0 : id;
}

void h2_resume(struct h2_session *session, int32_t id)
{
    (void)nghttp2_session_resume_data(session->library, id);
}

void h2_reset(struct h2_session *session, int32_t id, enum h2_code code)
{
    (void)nghttp2_submit_rst_stream(session->library, NGHTTP2_FLAG_NONE, id, (uint32_t)code);
}

void h2_abandon(struct h2_session *session, int32_t id, enum h2_code code)
{
    h2_forget(session, id);
    if (session->abandoned_count == H2_ABANDONED) {
        h2_give_up(session);
    }
    session->abandoned[session->abandoned_count].id = id;
    session->abandoned[session->abandoned_count].code = (uint32_t)code;
    session->abandoned_count++;
}

void h2_forget(struct h2_session *session, int32_t id)
{
    session->known_id = 0;
    (void)nghttp2_session_set_stream_user_data(session->library, id, NULL);
}

void h2_consume(struct h2_session *session, int32_t id, size_t count)
{
    if (id != 0) {
        (void)nghttp2_session_consume(session->library, id, count);
    } else {
        (void)nghttp2_session_consume_connection(session->library, count);
    }
}

/* --- the connection --- */

void h2_leave(struct h2_session *session, bool final)
{
    if (!final && session->server) {
        (void)nghttp2_submit_shutdown_notice(session->library);
    } else {
        session->said = nghttp2_session_get_last_proc_stream_id(session->library);
        session->said_last = true;
        (void)nghttp2_submit_goaway(session->library, NGHTTP2_FLAG_NONE, session->said,
                                    NGHTTP2_NO_ERROR, NULL, 0);
    }
}

void h2_terminate(struct h2_session *session, enum h2_code code)
{
    session->finished = true;
    (void)nghttp2_session_terminate_session(session->library, (uint32_t)code);
}

void h2_ping(struct h2_session *session)
{
    (void)nghttp2_submit_ping(session->library, NGHTTP2_FLAG_NONE, NULL);
}

uint32_t h2_room(const struct h2_session *session)
{
    uint32_t most = nghttp2_session_get_remote_settings(session->library,
                                                        NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

    if (!nghttp2_session_check_request_allowed(session->library) || session->finished) {
        return 0;
    }
    return session->settled ? most : session->limits.streams;
}

bool h2_takes_protocols(const struct h2_session *session)
{
    return session->settled && nghttp2_session_get_remote_settings(
                                   session->library, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}
