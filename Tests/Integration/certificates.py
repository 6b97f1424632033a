"""Certificates made with the openssl program: for listeners of the tests, and forged ones."""

import subprocess
from pathlib import Path


def openssl(*arguments, cwd=None, check=True, data=b"", seconds=15):
    return subprocess.run(
        ["openssl", *[str(a) for a in arguments]],
        input=data,
        capture_output=True,
        cwd=cwd,
        timeout=seconds,
        check=check,
    )


def authority(directory, name="ca"):
    """A self-signed CA: (certificate path, key path)."""
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
    )
    return cert, key


def leaf(directory, name, ca, alternative):
    """A leaf signed by `ca` with one subjectAltName (`DNS:x`, `URI:spiffe://…`)."""
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
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
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
        "2",
        "-extfile",
        extensions,
        "-out",
        cert,
    )
    return cert, key


def s_client(port, *arguments, data=b"", seconds=10):
    """`openssl s_client` against a local port; its exit status and everything it printed."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *[str(a) for a in arguments]],
        input=data,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")
