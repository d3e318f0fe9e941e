#!/bin/sh
# build.sh          builds the guests of other compilers and replaces those in ../prebuilt/
# build.sh --check  builds them aside and compares the bytes with ../prebuilt/
#
# Each compiler is used if it is there, and otherwise it is said how to get it: npm (or $ASC), clang-14 and wasm-ld-14
# (or $CLANG and $WASM_LD), cargo (or $CARGO). As with the Rust guests, bytes are compared only if the compiler is the
# one that made them; ../prebuilt/COMPILER.other has a line for each.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prebuilt=$here/../prebuilt
made_by=$prebuilt/COMPILER.other
failed=0

case ${1-} in
    '') check= ;;
    --check) check=yes ;;
    *) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ "$check" ] || { mkdir -p "$prebuilt" && touch "$made_by"; }

# What a build cannot do is a failure, what a check cannot do is no finding.
cannot() {
    if [ "$check" ]; then
        echo "not compared: $1"
    else
        echo "$1" >&2
        failed=1
    fi
}

# deliver COMPILER MODULE...: what has been built goes to prebuilt/, or is compared with what is there.
deliver() {
    compiler=$1
    shift
    for module; do
        line="$module: $compiler"
        if [ -z "$check" ]; then
            cp "$work/$module" "$prebuilt/"
            chmod 644 "$prebuilt/$module"
            { grep -v "^$module:" "$made_by" || true; echo "$line"; } | sort > "$work/lines"
            cp "$work/lines" "$made_by"
        elif ! grep -qxF "$line" "$made_by"; then
            cannot "$(grep "^$module:" "$made_by"), and this is $compiler"
        elif cmp "$work/$module" "$prebuilt/$module"; then
            echo "$module: the same bytes"
        else
            failed=1
        fi
    done
}

assemblyscript() {
    asc=${ASC-}
    if [ -z "$asc" ]; then
        command -v npm >/dev/null || { cannot "there is no npm; with it comes AssemblyScript: npm ci"; return; }
        cp "$here"/assemblyscript/package*.json "$work/"
        (cd "$work" && npm ci --silent --no-audit --no-fund) || { cannot "npm ci has failed"; return; }
        asc=$work/node_modules/.bin/asc
    fi
    (cd "$here/assemblyscript" && "$asc" index.ts -O3 --runtime incremental -o "$work/assemblyscript.wasm")
    deliver "AssemblyScript $("$asc" --version)" assemblyscript.wasm
}

c() {
    clang=$(command -v "${CLANG:-clang-14}") && ld=$(command -v "${WASM_LD:-wasm-ld-14}") ||
        { cannot "there is no clang for wasm; get it with: apt-get install clang-14 lld-14"; return; }
    "$clang" --target=wasm32 -O2 -Wall -Wextra -ffreestanding -c -o "$work/c.o" "$here/c/indexer.c"
    "$ld" --no-entry --strip-all -o "$work/c.wasm" "$work/c.o"
    deliver "$("$clang" --version | sed 1q), $("$ld" --version)" c.wasm
}

wat() {
    cargo=$(command -v "${CARGO:-cargo}") || { cannot "there is no cargo here; see https://rustup.rs"; return; }
    # From elsewhere, because the settings of the guests' workspace are not for a program that runs here.
    manifest=$here/wat2wasm/Cargo.toml
    (cd "$work" && "$cargo" build --quiet --locked --manifest-path "$manifest" --target-dir "$work/target")
    for guest in tables passive two-memories dispatch edge growth; do
        "$work/target/debug/wat2wasm" "$here/$guest/$guest.wat" "$work/$guest.wasm"
    done
    version=$(sed -n '/^name = "wat"$/{n;s/version = "\(.*\)"/\1/p;}' "$here/wat2wasm/Cargo.lock")
    deliver "wat $version" tables.wasm passive.wasm two-memories.wasm dispatch.wasm edge.wasm growth.wasm
}

assemblyscript
c
wat
[ "$check" ] || (cd "$prebuilt" && sha256sum ./*.wasm | sed 's| \./| |' > SHA256SUMS && cat SHA256SUMS)
exit $failed
