"""What this machine has: commands, room on its disk, and how to run something whose failure becomes a reason."""

import shutil
import subprocess
import threading
import time
from pathlib import Path

from .cells import Trouble, Unobtainable

# The package of each command that is not on every machine.
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "cc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "strip": "binutils",
    "readelf": "binutils",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}

_started = time.monotonic()
_printing = threading.Lock()


def say(text: str):
    """A line of progress, with the seconds since the start."""
    with _printing:
        print(f"[{time.monotonic() - _started:5.0f} s] {text}", flush=True)


class Host:
    """The machine, and whether packages may be installed on it."""

    def __init__(self, install: bool):
        self._install = install
        self._lock = threading.Lock()

    def need(self, *commands: str, files=None):
        """Sees to it that commands are there, and files of packages: {path: package}."""
        with self._lock:
            missing = {PACKAGES[command] for command in commands if not shutil.which(command)}
            missing |= {package for path, package in (files or {}).items() if not Path(path).exists()}
            if not missing:
                return
            words = " ".join(sorted(missing))
            if not self._install:
                raise Unobtainable(f"this needs {words}: apt-get install {words}, or run with --install")
            say(f"installing {words}")
            for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *sorted(missing)]):
                done = subprocess.run(["apt-get", *command], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Unobtainable(f"apt-get install {words}: {last_line(done.stderr)}")


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "error"))]
    return (errors or lines or ["no reason given"])[-1]


def room(folder: Path, needed: int):
    """Refuses to begin what would fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Trouble(f"no room on the disk: {free >> 20} MiB are free at {folder}, {needed >> 20} MiB are needed")


def run(command, log: Path, **options):
    """Runs a command whose output goes into a log; its failure is a Trouble with the log's last line."""
    with log.open("a") as file:
        done = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, **options
        )
    if done.returncode != 0:
        words = last_line(log.read_text(errors="replace"))
        raise Trouble(f"{Path(str(command[0])).name} ended with {done.returncode}: {words} (all of it: {log})")
