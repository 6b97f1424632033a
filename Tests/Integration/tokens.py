"""Issuers of tokens: keys and signatures by the openssl program, a key set that is served."""

import base64
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from certificates import openssl


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def part(value):
    return b64(json.dumps(value, separators=(",", ":")).encode())


CURVES = {"ES256": ("prime256v1", "P-256", 32), "ES384": ("secp384r1", "P-384", 48)}


class Key:
    """A private key in a file, with its public half as a member of a key set."""

    def __init__(self, directory, kid, algorithm="ES256"):
        self.kid, self.algorithm = kid, algorithm
        self.path = Path(directory) / f"{kid}.pem"
        options = ("RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        if algorithm in CURVES:
            options = ("EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[algorithm][0]}")
        openssl("genpkey", "-algorithm", *options, "-out", self.path)

    def member(self):
        text = openssl("pkey", "-in", self.path, "-noout", "-text").stdout.decode()
        if self.algorithm in CURVES:
            _, curve, size = CURVES[self.algorithm]
            point = self.hexadecimal(text, "pub:")
            x, y = point[1 : 1 + size], point[1 + size :]
            shape = {"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)}
        else:
            modulus = self.hexadecimal(text, "modulus:").lstrip(b"\0")
            shape = {"kty": "RSA", "n": b64(modulus), "e": b64(b"\x01\x00\x01")}
        return {**shape, "kid": self.kid, "use": "sig"}

    @staticmethod
    def hexadecimal(text, label):
        found = re.search(rf"{label}\n((?:\s+[0-9a-f:]+\n)+)", text)
        return bytes.fromhex(re.sub(r"[\s:]", "", found.group(1)))

    def signature(self, data):
        digest = f"-sha{self.algorithm[2:]}"
        options = ()
        if self.algorithm.startswith("PS"):
            options = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
        made = openssl("dgst", digest, *options, "-sign", self.path, data=data).stdout
        if self.algorithm not in CURVES:
            return made
        # DER: a sequence of two integers, as JWS has them side by side.
        size, at, raw = CURVES[self.algorithm][2], 2, b""
        for _ in range(2):
            length = made[at + 1]
            raw += made[at + 2 : at + 2 + length].lstrip(b"\0").rjust(size, b"\0")
            at += 2 + length
        return raw

    def token(self, claims=None, **header):
        """A token of this key; it lives for ten minutes unless the claims say otherwise."""
        claims = {"iss": "https://issuer.test", "exp": int(time.time()) + 600, **(claims or {})}
        head = {"alg": self.algorithm, "kid": self.kid, **header}
        head = {name: value for name, value in head.items() if value is not None}
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = f"{part(head)}.{part(claims)}"
        return f"{signed}.{b64(self.signature(signed.encode()))}"


def key_set(*keys):
    return json.dumps({"keys": [key.member() for key in keys]})


class Issuer:
    """Serves a key set; `.body` and `.status` may change, `.asked` counts."""

    def __init__(self, body):
        self.body, self.status, self.asked = body, 200, 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                self.send_response(issuer.status)
                self.send_header("Content-Length", str(len(issuer.body)))
                self.end_headers()
                self.wfile.write(issuer.body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def provider(name, keys, **more):
    """A jwt-provider entry; `keys` is the text of a key set, the file of one or an Issuer."""
    if isinstance(keys, Path):
        where = {"Local": {"Filename": str(keys)}}
    elif isinstance(keys, str):
        where = {"Local": {"JWKS": base64.b64encode(keys.encode()).decode()}}
    else:
        where = {
            "Remote": {
                "URI": keys.url,
                "CacheDuration": "300s",
                "RetryPolicy": {
                    "RetryPolicyBackOff": {"BaseInterval": "200ms", "MaxInterval": "500ms"}
                },
            }
        }
    return {
        "Kind": "jwt-provider",
        "Name": name,
        "Issuer": "https://issuer.test",
        "JSONWebKeySet": where,
        **more,
    }


def required(name, **claims):
    """A requirement of a token of this provider with these claims."""
    wanted = [{"Path": path.split("."), "Value": value} for path, value in claims.items()]
    one = {"Name": name, **({"VerifyClaims": wanted} if wanted else {})}
    return {"Providers": [one]}
