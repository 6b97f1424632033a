"""Certificates made with the openssl program: for listeners of the tests, and forged ones."""

import ssl
import subprocess
from pathlib import Path


def openssl(*arguments, cwd=None, check=True, data=b"", seconds=60):
    return subprocess.run(
        ["openssl", *[str(a) for a in arguments]],
        input=data,
        capture_output=True,
        cwd=cwd,
        timeout=seconds,
        check=check,
    )


def authority(directory, name="ca", signer=()):
    """A CA, signed by itself or by the one of (certificate, key): (certificate path, key path)."""
    directory = Path(directory)
    key, cert = directory / f"{name}.key", directory / f"{name}.crt"
    openssl(
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        key,
        "-out",
        cert,
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
        *(["-CA", signer[0], "-CAkey", signer[1]] if signer else []),
    )
    return cert, key


EC_KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
RSA_KEY = ("rsa:2048",)


def leaf(directory, name, ca, alternative, key_kind=EC_KEY, days=2):
    """A leaf signed by `ca` with subjectAltNames (`DNS:x`, `URI:…`); of 0 days: expired."""
    directory = Path(directory)
    key, cert, request = (directory / f"{name}.{end}" for end in ("key", "crt", "csr"))
    extensions = directory / f"{name}.ext"
    extensions.write_text(
        f"subjectAltName={alternative}\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=serverAuth,clientAuth\n",
        encoding="ascii",
    )
    openssl(
        "req",
        "-new",
        "-newkey",
        *key_kind,
        "-nodes",
        "-keyout",
        key,
        "-out",
        request,
        "-subj",
        f"/CN={name}",
    )
    openssl(
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        ca[0],
        "-CAkey",
        ca[1],
        "-CAcreateserial",
        "-days",
        str(days),
        "-extfile",
        extensions,
        "-out",
        cert,
    )
    return cert, key


def revocations(directory, ca, *revoked, name="revoked"):
    """The list of `ca` with these certificates in it, in a file that is there at once or not."""
    directory = Path(directory)
    database, target = directory / f"{name}.index", directory / f"{name}.crl"
    config, fresh = directory / f"{name}.cnf", directory / f"{name}.new"
    config.write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\ndefault_md=sha256\n", encoding="ascii"
    )
    database.write_text("", encoding="ascii")
    common = ("ca", "-config", config, "-cert", ca[0], "-keyfile", ca[1])
    for certificate in revoked:
        openssl(*common, "-revoke", certificate)
    openssl(*common, "-gencrl", "-crldays", "1", "-out", fresh)
    fresh.rename(target)
    return target


def copies(directory, cert, key, count, pattern):
    """`count` certificates made of one by changing the number in its name: (pattern % number).crt
    and .key in `directory`. `pattern` has a %d of fixed width and makes the template's only name
    for 0. Their signatures are wrong, which only clients look at.
    """
    body = ssl.PEM_cert_to_DER_cert(Path(cert).read_text(encoding="ascii"))
    template = (pattern % 0).encode("ascii")
    at = body.index(template)
    secret = Path(key).read_bytes()
    for number in range(count):
        name = pattern % number
        der = body[:at] + name.encode("ascii") + body[at + len(template) :]
        (Path(directory) / f"{name}.crt").write_text(ssl.DER_cert_to_PEM_cert(der), "ascii")
        (Path(directory) / f"{name}.key").write_bytes(secret)


def s_client(port, *arguments, data=b"", seconds=60):
    """`openssl s_client` against a local port; its exit status and everything it printed."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *[str(a) for a in arguments]],
        input=data,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")
