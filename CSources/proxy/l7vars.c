/* Variables of header rules. What clients say of themselves may hold anything: a text with control
 * characters counts as none, so that a value stays one line. */
#include "l7vars.h"

#include <stdio.h>
#include <string.h>

#include "l7.h"

static struct bytes l7vars_number(uint32_t number, uint8_t room[static L7VARS_ROOM])
{
    int length = number == 0 ? 0 : snprintf((char *)room, L7VARS_ROOM, "%u", number);

    return bytes_of(room, (size_t)length);
}

/* Whom trusted hops name, else the peer. */
static struct bytes l7vars_client(const struct l7vars *vars, bool port,
                                  uint8_t room[static L7VARS_ROOM])
{
    const struct request *request = vars->request;
    struct conn *down = request->down;

    if (request_has(request, REQUEST_CLIENT)) {
        return bytes_of(room, port ? 0 : ip_format(&request->client, (char *)room));
    }
    conn_peer(vars->proxy, down);
    return port ? l7vars_number(down->peer_port, room) : bytes_of(down->peer, down->peer_length);
}

static struct bytes l7vars_identity(const struct l7vars *vars, const struct abi_listener *entry)
{
    const struct view *table = &vars->proxy->current->view;
    const struct conn *down = vars->request->down;

    if ((entry->flags & ABI_LISTENER_MESH_OUTBOUND) != 0 && entry->identity != ABI_NONE) {
        return view_text(table, table->identities[entry->identity].spiffe_id);
    }
    return down->tls == NULL ? bytes_of(NULL, 0) : tls_peer_id(down->tls);
}

static struct bytes l7vars_tls(const struct conn *down, enum abi_header_variable variable)
{
    if (down->tls == NULL) {
        return bytes_of(NULL, 0);
    }
    if (variable == ABI_HEADER_TLS_VERSION) {
        return tls_version(down->tls) == TLS_VERSION_1_3 ? BYTES_LITERAL("1.3")
                                                         : BYTES_LITERAL("1.2");
    }
    return variable == ABI_HEADER_TLS_CIPHER ? tls_cipher(down->tls) : tls_server_name(down->tls);
}

static struct bytes l7vars_protocol(const struct l7vars *vars)
{
    return vars->request->down->stream != NULL ? BYTES_LITERAL("HTTP/2")
           : vars->proxy->head.minor == 0      ? BYTES_LITERAL("HTTP/1.0")
                                               : BYTES_LITERAL("HTTP/1.1");
}

static struct bytes l7vars_trace(const struct request *request, uint8_t room[static L7VARS_ROOM])
{
    _Static_assert(TRACE_PARENT_SIZE <= L7VARS_ROOM, "a traceparent fits");
    if (!request_has(request, REQUEST_TRACED)) {
        return bytes_of(room, 0);
    }
    trace_write_parent(&request->trace, room);
    return bytes_of(room + 3, 32);
}

static struct bytes l7vars_service(const struct l7vars *vars)
{
    const struct view *table = &vars->proxy->current->view;

    return vars->route->action == ABI_ACTION_FORWARD
               ? view_text(table, table->targets[vars->request->target].service)
               : bytes_of(NULL, 0);
}

static struct bytes l7vars_upstream(const struct l7vars *vars, uint8_t room[static L7VARS_ROOM])
{
    struct conn *up = vars->request->up;
    const char *format = "%.*s:%u";
    int length;

    if (up == NULL) {
        return bytes_of(room, 0);
    }
    conn_peer(vars->proxy, up);
    if (!up->peer_is_ip) {
        return bytes_of(up->peer, up->peer_length);
    }
    if (memchr(up->peer, ':', up->peer_length) != NULL) {
        format = "[%.*s]:%u";
    }
    length = snprintf((char *)room, L7VARS_ROOM, format, (int)up->peer_length, up->peer,
                      (unsigned)up->peer_port);
    return bytes_of(room, (size_t)length);
}

/* What is known with the request. */
static struct bytes l7vars_of_request(const struct l7vars *vars, enum abi_header_variable variable,
                                      uint8_t room[static L7VARS_ROOM])
{
    struct conn *down = vars->request->down;
    const struct view *table = &vars->proxy->current->view;
    const struct abi_listener *entry = listener_entry(vars->proxy, listener_of(vars->proxy, down));

    switch (variable) {
    case ABI_HEADER_CLIENT_IP:
    case ABI_HEADER_CLIENT_PORT:
        return l7vars_client(vars, variable == ABI_HEADER_CLIENT_PORT, room);
    case ABI_HEADER_CLIENT_IDENTITY:
        return l7vars_identity(vars, entry);
    case ABI_HEADER_METHOD:
        return h1_slice(vars->view->start, vars->proxy->head.method_name);
    case ABI_HEADER_SCHEME:
        return down->tls != NULL ? BYTES_LITERAL("https") : BYTES_LITERAL("http");
    case ABI_HEADER_HOST:
        return vars->view->host;
    case ABI_HEADER_PATH:
        return vars->view->path;
    case ABI_HEADER_QUERY:
        return vars->view->query;
    case ABI_HEADER_PROTOCOL:
        return l7vars_protocol(vars);
    case ABI_HEADER_LISTENER:
        return view_text(table, entry->name);
    case ABI_HEADER_ROUTE:
        return view_text(table, vars->route->rule);
    case ABI_HEADER_SERVICE:
        return l7vars_service(vars);
    case ABI_HEADER_NODE:
        return view_text(table, table->head->node);
    case ABI_HEADER_TRACE_ID:
        return l7vars_trace(vars->request, room);
    case ABI_HEADER_TLS_VERSION:
    case ABI_HEADER_TLS_CIPHER:
    case ABI_HEADER_TLS_SNI:
        return l7vars_tls(down, variable);
    case ABI_HEADER_UPSTREAM_ADDRESS:
    case ABI_HEADER_VARIABLE_COUNT:
        break;
    }
    return bytes_of(room, 0);
}

struct bytes l7vars_text(const struct l7vars *vars, enum abi_header_variable variable,
                         uint8_t room[static L7VARS_ROOM])
{
    struct bytes text = bytes_of(room, 0);

    if (variable == ABI_HEADER_UPSTREAM_ADDRESS) {
        text = l7vars_upstream(vars, room);
    } else if (vars->view != NULL) {
        text = l7vars_of_request(vars, variable, room);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] == 0x7f) {
            return bytes_of(room, 0);
        }
    }
    return text;
}
