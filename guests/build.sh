#!/bin/sh
# build.sh          builds the Rust guests and replaces those in prebuilt/
# build.sh --check  builds them aside and compares the bytes with prebuilt/
#
# Uses the cargo in $CARGO, or the one in the path. The same compiler makes the same bytes wherever it runs; another
# compiler makes other bytes, which is no mistake, so the check compares only under the one in prebuilt/COMPILER.
set -eu

target=wasm32-unknown-unknown
guests="allocate blocktracker chunked lru noop substreams touch utxo view"
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"

case ${1-} in
    '') check= ;;
    --check) check=yes ;;
    *) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac

# What a build cannot do is a failure, what a check cannot do is no finding.
cannot() {
    if [ "$check" ]; then
        echo "not compared: $1"
        exit 0
    fi
    echo "$1" >&2
    exit 1
}

cargo=$(command -v "${CARGO:-cargo}") || cannot "there is no cargo here; see https://rustup.rs"
rustc=${RUSTC:-$(dirname "$cargo")/rustc}
libdir=$("$rustc" --print target-libdir --target $target) || cannot "$rustc doesn't work"
ls "$libdir"/libcore-*.rlib >/dev/null 2>&1 ||
    cannot "$cargo has no std for $target; get it with: rustup target add $target"

compiler=$("$rustc" -vV)
if [ "$check" ]; then
    [ "$compiler" = "$(cat prebuilt/COMPILER)" ] ||
        cannot "prebuilt/ was made by $(sed 1q prebuilt/COMPILER), and this is $(echo "$compiler" | sed 1q)"
    CARGO_TARGET_DIR=$(mktemp -d)
    trap 'rm -rf "$CARGO_TARGET_DIR"' EXIT
else
    CARGO_TARGET_DIR=$here/target
fi
export CARGO_TARGET_DIR

# The paths of this machine must not show in the modules, nor decide in which order things come in them.
registry=${CARGO_HOME:-$HOME/.cargo}/registry/src
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS CARGO_BUILD_TARGET
# Profiles are set in Cargo.toml alone.
for setting in $(env | sed -n 's/^\(CARGO_PROFILE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$setting"; done
separator=$(printf '\037') # cargo's own: paths may hold spaces
registry_flag=--remap-path-prefix=$registry=/registry
here_flag=--remap-path-prefix=$here=/guest
export CARGO_ENCODED_RUSTFLAGS="$registry_flag$separator$here_flag" CARGO_INCREMENTAL=0
"$cargo" build --release --locked --target $target

built=$CARGO_TARGET_DIR/$target/release
for guest in $guests; do
    if grep -aq -e "$here" -e "$registry" "$built/$guest.wasm"; then
        echo "$guest.wasm holds a path of this machine" >&2
        exit 1
    fi
done

if [ "$check" ]; then
    for guest in $guests; do
        cmp "$built/$guest.wasm" "prebuilt/$guest.wasm"
    done
    echo "the same bytes"
else
    mkdir -p prebuilt
    for guest in $guests; do
        cp "$built/$guest.wasm" prebuilt/
    done
    chmod 644 prebuilt/*.wasm
    echo "$compiler" > prebuilt/COMPILER
    (cd prebuilt && sha256sum ./*.wasm | sed 's| \./| |' > SHA256SUMS && cat SHA256SUMS)
fi
