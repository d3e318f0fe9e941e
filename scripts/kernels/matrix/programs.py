"""The program and its tests for each architecture, built where they are not given, and the libraries they need."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .cells import Trouble
from .host import Host, last_line, run, say
from .kernels import unpack
from .packages import Packages

ROOT = Path(__file__).resolve().parents[3]
CROSS_LIBRARIES = {"aarch64": Path("/usr/aarch64-linux-gnu/lib")}
CROSS_PACKAGES = {"aarch64": "libc6-dev-arm64-cross"}
TARGETS = {"aarch64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
# Links in a fraction of the time; what is verified here is no measurement.
FAST = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16", "CARGO_INCREMENTAL": "0"}


@dataclass(frozen=True)
class Program:
    path: Path
    said: str
    hash: str


class Programs:
    """Programs by architecture; `given` has those that need not be built."""

    def __init__(self, work: Path, host: Host, packages: Packages, given: dict, commit: str):
        self._work = work
        self._host = host
        self._packages = packages
        self._given = given
        self._commit = commit
        self._tests = {}

    def get(self, arch: str) -> Program:
        path, how = self._given.get(arch), ""
        if path is None:
            path, how = self._build(arch)
        if not path.is_file():
            raise Trouble(f"there is no program at {path}")
        # The whole file decides whether a cell has to be run again; the commit is for people.
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Program(path, f"resetbench {_version()} ({self._commit or _head()}{how})", digest)

    def tests(self, names):
        """Test binaries of this machine's architecture, by name, without symbols."""
        missing = [name for name in names if name not in self._tests]
        if missing:
            self._build_tests(missing)
        return {name: self._tests[name] for name in names}

    def libraries(self, arch: str, files):
        """What the dynamic loader needs for them: {path in the guest: file}."""
        if arch == platform.machine():
            return _libraries_here(files)
        folder = CROSS_LIBRARIES[arch]
        self._host.need("readelf", files={folder: CROSS_PACKAGES[arch]})
        loader = next(folder.glob("ld-linux*.so*"))
        found, queue = {f"lib/{loader.name}": loader}, list(files)
        while queue:
            text = subprocess.run(["readelf", "-d", queue.pop()], capture_output=True, text=True, check=True).stdout
            for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text):
                if f"lib/{name}" not in found:
                    file = folder / name
                    if not file.exists():
                        raise Trouble(f"the program needs {name}, which is not in {folder}")
                    found[f"lib/{name}"] = file
                    queue.append(file)
        return found

    def merging(self) -> Path:
        """The command by which a process asks for its memory to be merged."""
        source = Path(__file__).parents[1] / "merging.c"
        target = self._work / "merging"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            self._host.need("cc")
            run(["cc", "-static", "-O2", "-Wall", "-o", target, source], self._work / "build-merging.log")
        return target

    def _build(self, arch: str):
        log = self._work / f"build-{arch}.log"
        cargo, options, environment, how = ["cargo"], [], dict(os.environ), ""
        target = Path(environment.get("CARGO_TARGET_DIR", ROOT / "target"))
        if arch != platform.machine():
            cross = f"{arch}-linux-gnu-gcc"
            self._host.need(cross, files={CROSS_LIBRARIES[arch]: CROSS_PACKAGES[arch]})
            triple = TARGETS[arch]
            options, how = ["--target", triple], ", built without LTO"
            environment |= FAST | {f"CARGO_TARGET_{triple.upper().replace('-', '_')}_LINKER": cross}
            if not _has_target(triple):
                prefix = self._debian_rust(arch)
                cargo = [prefix / "bin" / "cargo"]
                target = self._work / f"target-{arch}"
                environment |= {"RUSTC": str(prefix / "bin" / "rustc"), "CARGO_TARGET_DIR": str(target)}
                environment["LD_LIBRARY_PATH"] = ":".join(str(path) for path in sorted(prefix.glob("lib/*-linux-gnu")))
            target = target / triple
        say(f"building the program for {arch} (log: {log})")
        command = [*cargo, "build", "--release", "--locked", "--workspace", "--bin", "resetbench", *options]
        run(command, log, cwd=ROOT, env=environment)
        return target / "release" / "resetbench", how

    def _debian_rust(self, arch: str) -> Path:
        """Debian's compiler with the standard library for another architecture, unpacked side by side."""
        prefix = self._work / "rust" / "usr"
        done = self._work / "rust" / f"complete-{arch}"
        if done.exists():
            return prefix
        (self._work / "rust").mkdir(parents=True, exist_ok=True)
        files = self._packages.fetch_with_dependencies("rustc-web", "cargo-web", "libstd-rust-web-dev")
        version = next(file for file in files if file.name.startswith("libstd-rust-web-dev_")).name.split("_")[1]
        version = version.replace("%3a", ":")
        files.append(self._packages.fetch("libstd-rust-web-dev", arch, 500_000_000, version))
        log = self._work / "build-rust.log"
        for file in files:
            run(["dpkg-deb", "-x", file, self._work / "rust"], log)
        done.touch()
        return prefix

    def _build_tests(self, names):
        say("building the tests")
        self._host.need("strip")
        chosen = [word for name in names for word in ("--test", name)]
        # Of the whole workspace: with one package alone, dependencies have other features and are built anew.
        command = ["cargo", "test", "--workspace", "--locked", "--no-run", "--message-format=json", *chosen]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Trouble(f"the tests cannot be built: {last_line(done.stderr)}")
        folder = self._work / "tests"
        folder.mkdir(parents=True, exist_ok=True)
        for line in done.stdout.splitlines():
            message = json.loads(line) if line.startswith("{") else {}
            name = message.get("target", {}).get("name")
            if message.get("executable") and message["target"]["kind"] == ["test"] and name in names:
                # Of their symbols nothing is read, and memory is what a guest is short of.
                run(["strip", "-o", folder / name, message["executable"]], self._work / "build-tests.log")
                self._tests[name] = folder / name
        missing = set(names) - set(self._tests)
        if missing:
            raise Trouble(f"there are no tests {', '.join(sorted(missing))}")


def own_suites():
    """Suites of this machine's own release, whose compiler runs here."""
    match = re.search(r"(?m)^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())
    return {match[1], f"{match[1]}-security"} if match else set()


def busybox(work: Path, packages: Packages, arch: str) -> Path:
    """The static busybox of an architecture, fetched."""
    target = work / f"busybox-{arch}"
    if not target.exists():
        file = packages.fetch("busybox-static", arch, 20_000_000)
        part = target.with_suffix(".part")
        unpack(file, lambda member: part if member.name.endswith("bin/busybox") else None)
        part.rename(target)
    return target


def _libraries_here(files):
    found = {}
    for file in files:
        done = subprocess.run(["ldd", file], capture_output=True, text=True, check=False)
        if "not found" in done.stdout:
            raise Trouble(f"{file}: {last_line(done.stdout)}")
        for path in re.findall(r"(?:=> )?(/\S+) \(0x", done.stdout):
            found[path.lstrip("/")] = Path(path).resolve()
    return found


def _has_target(triple: str) -> bool:
    if not shutil.which("rustc"):
        return False
    command = ["rustc", "--print", "target-libdir", "--target", triple]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode == 0 and Path(done.stdout.strip()).is_dir()


def _version() -> str:
    match = re.search(r'(?m)^\[workspace\.package\]\s+version = "(.*)"', (ROOT / "Cargo.toml").read_text())
    return match[1] if match else "of unknown version"


def _head() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        ["git", "status", "--porcelain", "-uno"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return "unknown commit"
    return done.stdout.strip() + (" with changes" if changed.stdout.strip() else "")
