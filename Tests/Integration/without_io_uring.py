"""Runs a program as a container does whose seccomp profile forbids io_uring.

usage: without_io_uring.py ERRNO COMMAND...: io_uring_setup fails with that error, in the program
and in all that it starts.
"""

import ctypes
import os
import struct
import sys

IO_URING_SETUP = 425  # the same number on every architecture
NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000


def command(error, rest):
    """The command line that runs `rest` without io_uring."""
    return [sys.executable, __file__, str(error), *rest]


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def forbid(error):
    code = b"".join(
        struct.pack("=HBBI", *line)
        for line in [
            (LOAD_NUMBER, 0, 0, 0),
            (JUMP_EQUAL, 0, 1, IO_URING_SETUP),
            (RETURN, 0, 0, ERRNO | error),
            (RETURN, 0, 0, ALLOW),
        ]
    )
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(code) // 8, code)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "seccomp filter")


if __name__ == "__main__":
    forbid(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
