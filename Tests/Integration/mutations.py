"""Request streams by seeded mutation: good requests, damaged in the places where readers differ."""

import random

GOOD = [
    b"GET /p HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"GET /a/b?x=1&y=%20 HTTP/1.1\r\nHost: ex.test:8080\r\nAccept: */*\r\nX-A: v, w\r\n\r\n",
    b"HEAD /h HTTP/1.1\r\nHost: ex.test\r\nConnection: keep-alive, X-B\r\nX-B: 1\r\n\r\n",
    b"POST /l HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;n=v\r\n world\r\n0\r\n\r\n",
    b"PUT /t HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
    b'3;q="a b";z\r\nabc\r\n0;last\r\nX-T: 1\r\n\r\n',
    b"OPTIONS * HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"GET http://ex.test/abs?q HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"GET /v6 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    b"PURGE /x;p=1/../y HTTP/1.1\r\nHost: EX.test\r\nCookie: a=b\r\n\r\n",
    b"GET /old HTTP/1.0\r\nHost: ex.test\r\nConnection: keep-alive\r\n\r\n",
    b"DELETE /d HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"POST /e HTTP/1.1\r\nHost: ex.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    b"\r\nGET /blank HTTP/1.1\r\nHost: ex.test\r\n\r\n",
]

ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nServer: x\r\nX-A: 1\r\nContent-Length: 11\r\n\r\nhello world",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1;n=v\r\n!\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    b"0000a\r\n0123456789\r\n000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX-B: until the end\r\n\r\neverything",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
    b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 9\r\n\r\n',
    b"HTTP/1.1 404 Not Found\r\nConnection: close, X-C\r\nX-C: 1\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok",
]

CODED = b"POST /l HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: ex.test\r\nTransfer-Encoding: chunked\r\n\r\n"

# Places where an octet (`~`) is put instead of what stands there, or between.
PLACES = {
    "before": b"~GET /p HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "method": b"GE~T /p HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "method end": b"GET~/p HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "target start": b"GET ~p HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "path": b"GET /a~b HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "escape": b"GET /a%4~b HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "query": b"GET /p?a~b HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "authority": b"GET http://ex~.test/p HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "target end": b"GET /p~HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    "version name": b"GET /p HTT~/1.1\r\nHost: ex.test\r\n\r\n",
    "major": b"GET /p HTTP/~.1\r\nHost: ex.test\r\n\r\n",
    "minor": b"GET /p HTTP/1.~\r\nHost: ex.test\r\n\r\n",
    "line end": b"GET /p HTTP/1.1~\r\nHost: ex.test\r\n\r\n",
    "line CR": b"GET /p HTTP/1.1~\nHost: ex.test\r\n\r\n",
    "line LF": b"GET /p HTTP/1.1\r~Host: ex.test\r\n\r\n",
    "line start": b"GET /p HTTP/1.1\r\n~Host: ex.test\r\n\r\n",
    "name": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nX-~A: v\r\n\r\n",
    "colon": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nX-A~v\r\n\r\n",
    "before colon": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nX-A~: v\r\n\r\n",
    "value start": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nX-A:~v\r\n\r\n",
    "value": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nX-A: v~w\r\n\r\n",
    "field CR": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nX-A: v~\nX-B: w\r\n\r\n",
    "host": b"GET /p HTTP/1.1\r\nHost: ex~test\r\n\r\n",
    "host end": b"GET /p HTTP/1.1\r\nHost: ex.test~\r\n\r\n",
    "port": b"GET /p HTTP/1.1\r\nHost: ex.test:8~\r\n\r\n",
    "last CR": b"GET /p HTTP/1.1\r\nHost: ex.test\r\n~\n",
    "last LF": b"GET /p HTTP/1.1\r\nHost: ex.test\r\n\r~",
    "length": b"POST /l HTTP/1.1\r\nHost: ex.test\r\nContent-Length: ~5\r\n\r\nhello",
    "length end": b"POST /l HTTP/1.1\r\nHost: ex.test\r\nContent-Length: 5~\r\n\r\nhello",
    "coding": CODED + b": ~chunked\r\n\r\n0\r\n\r\n",
    "coding end": CODED + b": chunked~\r\n\r\n0\r\n\r\n",
    "coding name": CODED.replace(b"-E", b"~E") + b": chunked\r\n\r\n0\r\n\r\n",
    "option": b"GET /p HTTP/1.1\r\nHost: ex.test\r\nConnection: close~\r\n\r\n",
    "chunk size": CHUNKED + b"~\r\nhello\r\n0\r\n\r\n",
    "chunk size start": CHUNKED + b"~5\r\nhello\r\n0\r\n\r\n",
    "chunk size end": CHUNKED + b"5~\r\nhello\r\n0\r\n\r\n",
    "extension start": CHUNKED + b"5;~a=b\r\nhello\r\n0\r\n\r\n",
    "extension name": CHUNKED + b"5;a~=b\r\nhello\r\n0\r\n\r\n",
    "extension value": CHUNKED + b"5;a=~b\r\nhello\r\n0\r\n\r\n",
    "extension string": CHUNKED + b'5;a="~"\r\nhello\r\n0\r\n\r\n',
    "extension escape": CHUNKED + b'5;a="\\~"\r\nhello\r\n0\r\n\r\n',
    "extension end": CHUNKED + b"5;a=b~\r\nhello\r\n0\r\n\r\n",
    "size CR": CHUNKED + b"5~\nhello\r\n0\r\n\r\n",
    "size LF": CHUNKED + b"5\r~hello\r\n0\r\n\r\n",
    "data CR": CHUNKED + b"5\r\nhello~\n0\r\n\r\n",
    "data LF": CHUNKED + b"5\r\nhello\r~0\r\n\r\n",
    "last size": CHUNKED + b"5\r\nhello\r\n~\r\n\r\n",
    "trailer start": CHUNKED + b"0\r\n~X: v\r\n\r\n",
    "trailer name": CHUNKED + b"0\r\nX~Y: v\r\n\r\n",
    "trailer value": CHUNKED + b"0\r\nX: v~w\r\n\r\n",
    "trailer CR": CHUNKED + b"0\r\nX: v~\n\r\n",
    "end CR": CHUNKED + b"0\r\n~\n",
    "end LF": CHUNKED + b"0\r\n\r~",
}


def octets():
    """(name, stream) for every octet in every place, with a request behind."""
    for place, template in PLACES.items():
        for octet in range(256):
            stream = template.replace(b"~", bytes([octet]))
            yield f"{place} {octet:#04x}", stream + b"GET /after HTTP/1.1\r\nHost: ex.test\r\n\r\n"


FRAGMENTS = [
    *(bytes([c]) for c in b"\0\t\n\v\f\r !\"#%&'()*+,-./:;<=>?@[\\]^_`{|}~\x7f\x80\xa0\xff"),
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n\n",
    b"\r\r\n",
    b" :",
    b"0",
    b"00",
    b"0x5",
    b"+5",
    b"-1",
    b"5, 5",
    b"1_0",
    b"ffffffffffffffff",
    b"fffffffffffffffff",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551621",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b";ext",
    b';a="\n"',
    b';a="\r\n"',
    b";\n",
    b" ;a=b",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"content-length: 41\r\n",
    b"Content_Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer-Encoding: chunked;q=1\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding:\tChunked\t\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding\r\n",
    b"Host: evil.test\r\n",
    b"Host:\r\n",
    b"Connection: close\r\n",
    b"Connection: Content-Length, Transfer-Encoding, Host\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: 100-Continue, x\r\n",
    b"Trailer: Content-Length\r\n",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"http/1.1",
    b"/../",
    b"/./",
    b"//",
    b"%2e%2e",
    b"%2f",
    b"%5c",
    b"%00",
    b"%c0%ae",
    b"..;/",
    b"http://evil.test",
    b"GET /SMUGGLED HTTP/1.1\r\nHost: ex.test\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def damaged(dice, data, fragments=FRAGMENTS):
    """`data` with one to three changes."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.randrange(len(data) + 1)
        kind = dice.randrange(7)
        if kind == 0:
            data = data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + dice.randrange(1, 9) :]
        elif kind == 2:
            start = dice.randrange(len(data) + 1)
            data = data[:at] + data[start : start + dice.randrange(1, 60)] + data[at:]
        elif kind == 3:  # at a line's start, where fields and sizes are
            starts = [0] + [i + 2 for i in range(len(data)) if data[i : i + 2] == b"\r\n"]
            at = dice.choice(starts)
            data = data[:at] + dice.choice(fragments) + data[at:]
        elif kind == 4:  # at a line's end
            ends = [i for i in range(len(data)) if data[i : i + 2] == b"\r\n"] or [0]
            at = dice.choice(ends)
            data = data[:at] + dice.choice(fragments) + data[at:]
        else:
            data = data[:at] + dice.choice(fragments) + data[at:]
    return data


def stream(seed):
    """One stream: one to three requests of which most often one is damaged."""
    dice = random.Random(seed)
    parts = [dice.choice(GOOD) for _ in range(dice.choice((1, 1, 2, 3)))]
    if dice.randrange(16):
        victim = dice.randrange(len(parts))
        parts[victim] = damaged(dice, parts[victim])
    return b"".join(parts)


ANSWER_FRAGMENTS = [
    *FRAGMENTS,
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSECOND",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 199 X\r\nContent-Length: 5\r\n\r\n",
    b" 99 ",
    b"1000",
    b"Set-Cookie: evil=1\r\n",
]


def upstream_answer(seed):
    """(method, bytes of an upstream's answer), most often damaged."""
    dice = random.Random(seed)
    data = dice.choice(ANSWERS)
    if dice.randrange(8):
        data = damaged(dice, data, ANSWER_FRAGMENTS)
    return dice.choice(("GET", "GET", "HEAD", "POST")), data


def segments(seed, data):
    """The same bytes in writes of random sizes."""
    dice = random.Random(~seed)
    kind = dice.randrange(4)
    if kind == 0 or not data:
        return [data]
    if kind == 1:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted({dice.randrange(len(data)) for _ in range(dice.randrange(1, 5))} | {0})
    return [data[a:b] for a, b in zip(cuts, [*cuts[1:], len(data)], strict=True)]
