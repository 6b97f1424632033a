/* Error values of the data plane's own functions: negative, so that a count can share the return.
 * Each value says what was wrong with the input or which bound was met; err_name gives its name. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum mesh_err {
    MESH_OK = 0,
    MESH_E_SYNTAX = -1,      /* bytes that no grammar rule of the protocol allows */
    MESH_E_TOO_LONG = -2,    /* one element is longer than its limit (request line, field, chunk) */
    MESH_E_TOO_MANY = -3,    /* more elements than the limit (fields, records) */
    MESH_E_VERSION = -4,     /* a protocol or layout version that is not spoken */
    MESH_E_FRAMING = -5,     /* the message's length is ambiguous (RFC 9112 6.3) */
    MESH_E_UNSUPPORTED = -6, /* well-formed, not implemented (transfer coding, method form) */
    MESH_E_RANGE = -7,       /* a number outside its range, or arithmetic that would wrap */
    MESH_E_STATE = -8,       /* right bytes at the wrong time */
    MESH_E_NO_MEMORY = -9,   /* a bounded pool is empty */
    MESH_E_CLOSED = -10,     /* the peer ended the stream where it must not */
    MESH_E_TLS = -11,        /* handshake or record failure; details from the tls room */
    MESH_E_VERIFY = -12,     /* the peer's certificate was refused */
    MESH_E_TIMEOUT = -13,    /* a deadline passed */
    MESH_E_SYS = -14,        /* a system call failed; errno was noted by the callee */
    MESH_E_REF = -15,        /* a reference in shared memory points outside its section */
    MESH_E_CHECKSUM = -16,   /* contents do not match their checksum */
};

/* Lower-case name without prefix ("syntax"), "unknown" for other values; static storage. */
const char *err_name(int err);

#endif
