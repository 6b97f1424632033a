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
# last thing it said, one when it ends, and the tail of the log when it fails.
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
        tail -n 40 "$log" | sed 's/^/    | /'
    else
        say "$name ok, $((SECONDS - begun)) s"
    fi
    return "$rc"
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

# Where the built programs of a configuration lie.
SCRATCH=${RINGMESH_SCRATCH:-$ROOT/.build}
binaries() { printf '%s/%s\n' "$SCRATCH" "$1"; }

# shellcheck disable=SC2034  # read by tools/check and tools/run
BUILD_PACKAGES=(libssl-dev nettle-dev liburing-dev libnghttp2-dev libyaml-dev libsqlite3-dev
    zlib1g-dev libbrotli-dev libzstd-dev pkg-config git)
