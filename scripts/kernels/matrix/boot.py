"""One boot: packs an initramfs, starts the emulator, and reads the console until it ends or its time is over."""

import platform
import re
import shlex
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .cells import Cell, Trouble
from .console import Console
from .cpio import Archive
from .host import last_line, say
from .kernels import Unpacked, content

MACHINES = {
    # Five-level page tables and hashed pointers cost an emulator dear, and nothing here is about them.
    "x86_64": ("qemu-system-x86_64", "q35", "max,la57=off", "ttyS0"),
    "aarch64": ("qemu-system-aarch64", "virt,gic-version=3", "max,pauth-impdef=on,lpa2=off", "ttyAMA0"),
}
SCRIPTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Boot:
    """All that goes into a boot."""

    cell: Cell
    steps: tuple
    kernel: Unpacked
    # {path in the guest: file}
    files: dict
    limits: dict
    machine: dict
    accelerator: str = "tcg"

    def arguments(self) -> str:
        _, _, _, console = MACHINES[self.cell.kernel.arch]
        words = f"console={console} panic=-1 quiet loglevel=4 mitigations=off nokaslr"
        return f"{words} transparent_hugepage={self.cell.transparent_hugepage} {self.cell.arguments}".strip()

    def limit(self) -> int:
        return self.cell.limit or self.limits["boot"]

    def script(self) -> str:
        """What `init` reads."""
        lines = [f"CGROUP={self.cell.cgroup}"]
        lines += [f"SWAP={self.machine['swap']}"] if self.cell.swap else []
        lines += ["KSM=1"] if self.cell.ksm else []
        steps = [shlex.join(["step", step.name, str(step.limit), step.output, step.command]) for step in self.steps]
        return "\n".join([*lines, "steps() {", *(f"    {step}" for step in steps or [":"]), "}"]) + "\n"

    def pack(self, target: Path):
        """Writes the initramfs."""
        archive = Archive()
        archive.console()
        archive.file("init", SCRIPTS / "init")
        for name, file in self.files.items():
            archive.file(name, file)
        archive.data("boot.sh", self.script().encode())
        modules = self.kernel.needed("zram") if self.cell.swap else []
        for module in modules:
            archive.data(f"modules/{module.name.removesuffix('.xz')}", content(module))
        archive.data("modules/order", "".join(f"{module.name.removesuffix('.xz')}\n" for module in modules).encode())
        archive.write(target)

    def command(self, initramfs: Path, log: Path):
        program, machine, processor, _ = MACHINES[self.cell.kernel.arch]
        accelerator = "tcg,thread=multi,tb-size=512" if self.accelerator == "tcg" else self.accelerator
        return [
            # Whatever becomes of this process, the emulator ends.
            "timeout", str(self.limit() + 60), program, "-machine", machine,
            "-cpu", processor if self.accelerator == "tcg" else "host",
            "-accel", accelerator, "-smp", str(self.machine["processors"]), "-m", self.machine["memory"],
            "-kernel", self.kernel.image, "-initrd", initramfs, "-append", self.arguments(),
            "-nographic", "-no-reboot", "-net", "none", "-monitor", "none", "-serial", f"file:{log}",
        ]  # fmt: skip

    def run(self, folder: Path, stop: threading.Event):
        """Boots in a folder of its own; returns what the console said and why it is not all, if it is not."""
        log, errors, initramfs = folder / "boot.log", folder / "emulator.log", folder / "initramfs"
        self.pack(initramfs)
        log.write_bytes(b"")
        console, began = Console(), time.monotonic()
        with errors.open("wb") as file:
            # In a group of its own: Ctrl-C is for this program, which ends the emulator itself.
            process = subprocess.Popen(
                self.command(initramfs, log), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        try:
            reason = self._follow(process, console, log, began, stop)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()
            initramfs.unlink()
        if not reason and not console.ended:
            reason = console.panic or _stopped(console, process.returncode, errors.read_text(errors="replace"))
        if not errors.read_bytes():
            errors.unlink()
        return console, reason, round(time.monotonic() - began)

    def _follow(self, process, console, log, began, stop):
        with log.open(errors="replace") as lines:
            rest = ""
            while True:
                over = process.poll() is not None
                for piece in lines:
                    rest += piece
                    if rest.endswith("\n"):
                        said = console.line(rest)
                        rest = ""
                        if said:
                            say(f"  {self.cell.name}: {said}")
                seconds = time.monotonic() - began
                if over:
                    return ""
                if stop.is_set():
                    return "interrupted"
                if not console.started and seconds > self.limits["start"]:
                    return console.panic or f"the machine was not up in {self.limits['start']} s"
                if seconds > self.limit():
                    step = f", in step {console.steps[-1].name}" if console.steps else ""
                    return f"the boot did not end in {self.limit()} s{step}"
                time.sleep(0.3)


def _stopped(console, code, errors) -> str:
    """Why a machine stopped before its end."""
    if errors.strip():
        return f"the emulator: {last_line(errors)}"
    where = f"in step {console.steps[-1].name}" if console.steps else "before its first step"
    return f"the machine stopped {where} (the emulator ended with {code})"


def emulator(arch: str, accelerator: str) -> str:
    """Which emulator this is, in words."""
    text = subprocess.run([MACHINES[arch][0], "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (\d+(?:\.\d+)+)", text)
    return f"QEMU {match[1] if match else 'of unknown version'}, {accelerator.upper()}"


def accelerates(arch: str, kernel: Unpacked, cell: Cell, files: dict, machine: dict, folder: Path) -> str:
    """Whether /dev/kvm boots this kernel: an empty string, or why it does not."""
    if arch != platform.machine():
        return f"this machine is no {arch}"
    device = Path("/dev/kvm")
    if not device.exists():
        return "there is no /dev/kvm"
    probe = Boot(cell, (), kernel, files, {"start": 30, "boot": 40}, machine, "kvm")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        console, reason, _ = probe.run(folder, threading.Event())
    except (OSError, Trouble) as error:
        return str(error)
    return "" if console.ended else reason
