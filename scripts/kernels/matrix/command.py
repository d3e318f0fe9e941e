"""The command line, and the way of a cell from its definition to its folder."""

import argparse
import datetime
import fcntl
import fnmatch
import hashlib
import json
import shutil
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import boot, cells, judge, programs
from .cells import Cell, Matrix, Trouble, Unobtainable
from .host import Host, room, say
from .kernels import Kernels
from .packages import Packages
from .programs import Programs

DATA = Path(__file__).resolve().parents[1]
CI_TEST = "the_newest_debian_kernel_is_booted_and_every_strategy_right"

ABOUT = """\
Boots other kernels under QEMU and verifies resetbench on each: fetches kernels from the Debian mirror that this machine's
apt is set up for, packs a guest of busybox, the program and its libraries, boots it, runs the steps of its cell, and says
what came of them. What there is to run is in scripts/kernels/kernels.toml.
"""
EXAMPLES = """\
  scripts/kernel-matrix --list                       what there is
  scripts/kernel-matrix --only '*6.12*' --install    some cells; installs QEMU if it is missing
  scripts/kernel-matrix --build-aarch64              builds the program for aarch64, and nothing else
  scripts/kernel-matrix                              everything: an hour and more under emulation
  resetbench kernels collect target/kernel-matrix/out --out results/kernels

It can be stopped at any time and started again: cells that were completed with the same program are passed over. Each boot
has its log (WORK/boots/CELL/boot.log while it runs, WORK/out/CELL/boot.log afterwards). A cell that cannot be fetched,
booted or finished has its reason in the table, and the others go on.

Exit codes: 0 for a table, whatever is in it; 1 where a strategy that claims to be sound diverged from fresh instances;
2 where nothing ran at all; 130 after Ctrl-C.
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        "kernel-matrix", description=ABOUT, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--list", action="store_true", help="list the cells, and what is known of them, and end")
    add("--only", action="append", metavar="PATTERN", help="only cells whose name matches; can be repeated")
    add("--thorough", action="store_true", help="more steps in each cell: hours under emulation, minutes by KVM")
    add("--again", action="store_true", help="run cells that were completed, too")
    add("--refresh", action="store_true", help="ask the mirror for newer kernels than those that were fetched")
    add(
        "--work",
        type=Path,
        default=programs.ROOT / "target" / "kernel-matrix",
        metavar="DIR",
        help="where everything is kept (target/kernel-matrix)",
    )
    add("--program", type=Path, metavar="PATH", help="the program for x86-64, instead of building it")
    add("--program-aarch64", type=Path, metavar="PATH", help="the program for aarch64, instead of building it")
    add("--commit", default="", metavar="ID", help="of what commit the program was built (the checkout's)")
    add("--build-aarch64", action="store_true", help="build the program for aarch64, say where it is, and end")
    add("--jobs", type=int, default=1, metavar="N", help="boots at once (1): each has two processors of its own")
    add(
        "--accel",
        choices=("tcg", "kvm"),
        default="tcg",
        help="tcg works everywhere; kvm where /dev/kvm boots a kernel, otherwise tcg",
    )
    add(
        "--install",
        action="store_true",
        help="install the packages that are missing with apt-get, instead of naming them",
    )
    add(
        "--ci",
        action="store_true",
        help="only the cell that CI boots, with fewer steps; fails unless it is completed, but says in capitals where packages cannot be had, and succeeds",
    )
    return made


def main(arguments=None) -> int:
    options = parser().parse_args(arguments)
    try:
        matrix = cells.read(DATA / "kernels.toml")
        chosen = choose(matrix.cells, options)
        if options.list:
            return listing(chosen, options.work)
        return Runner(matrix, options, chosen).run()
    except Trouble as trouble:
        print(f"error: {trouble}", file=sys.stderr)
        return 2


def choose(known, options):
    """The cells that were asked for, in the order of the file."""
    patterns = options.only or ["*"]
    chosen = [cell for cell in known if any(fnmatch.fnmatch(cell.name, pattern) for pattern in patterns)]
    if options.ci:
        chosen = [cell for cell in chosen if cell.ci]
    if not chosen:
        names = "\n  ".join(cell.name for cell in known)
        raise Trouble(f"no cell matches {' or '.join(patterns)}; there are\n  {names}")
    return chosen


def listing(chosen, work: Path) -> int:
    for cell in chosen:
        try:
            said = json.loads((work / "out" / cell.name / "cell.json").read_text())
            state = f"{said['outcome']} on {said['date']}, Linux {said['kernel']}"
        except (OSError, ValueError, KeyError):
            state = "not run"
        print(
            f"{cell.name:<42} {state}{', in CI' if cell.ci else ''}\n    {' '.join(step.name for step in cell.steps)}"
        )
    return 0


class Runner:
    """Takes cells from their definition to their folder."""

    def __init__(self, matrix: Matrix, options, chosen):
        self.matrix, self.options, self.chosen = matrix, options, chosen
        self.work = options.work.resolve()
        host = Host(options.install)
        self.host = host
        # The lists that are read are those of the cells that run.
        kernels = {cell.kernel for cell in chosen}
        suites = {suite for kernel in kernels for suite in kernel.suites}
        self.packages = Packages(self.work, host, suites | programs.own_suites(), {kernel.arch for kernel in kernels})
        self.kernels = Kernels(self.work, host, self.packages, matrix.limits, DATA, options.refresh)
        given = {"x86_64": options.program, "aarch64": options.program_aarch64}
        self.programs = Programs(self.work, host, self.packages, given, options.commit)
        self.stop = threading.Event()
        self.preparing = threading.Lock()
        self.locks = {}
        self.known = {}
        self.ran = 0
        self.unobtainable = {}

    def run(self) -> int:
        self.work.mkdir(parents=True, exist_ok=True)
        lock = (self.work / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Trouble(f"another kernel-matrix is at work in {self.work}: --work takes another folder") from error
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stop.set())
        if self.options.build_aarch64:
            print(self.programs.get("aarch64").path)
            return 0
        with ThreadPoolExecutor(max(1, self.options.jobs)) as pool:
            list(pool.map(self._cell_or_trouble, self.chosen))
        return self._table()

    def _cell_or_trouble(self, cell: Cell):
        if self.stop.is_set():
            return
        try:
            self._cell(cell)
        except (Trouble, OSError) as trouble:
            if self.stop.is_set():
                # What was known of the cell before stays.
                return
            if isinstance(trouble, Unobtainable):
                self.unobtainable[cell.name] = str(trouble)
            say(f"{cell.name}: {trouble}")
            try:
                self._leave(cell, None, reason=str(trouble))
            except OSError as error:
                say(f"{cell.name}: nor can that be written down: {error}")

    def _once(self, make, *key):
        """Makes a thing once; what fails, fails for all who want it. Others wait for it, and not for one another's."""
        known = (make.__qualname__, *key)
        with self.preparing:
            lock = self.locks.setdefault(known, threading.Lock())
        with lock:
            if self.stop.is_set():
                raise Trouble("interrupted")
            if known not in self.known:
                try:
                    self.known[known] = make(*key)
                except (Trouble, OSError) as trouble:
                    self.known[known] = trouble
            if isinstance(self.known[known], Exception):
                raise self.known[known]
            return self.known[known]

    def _cell(self, cell: Cell):
        arch = cell.kernel.arch
        steps = cell.ci if self.options.ci else cell.steps
        if self.options.thorough and not self.options.ci:
            steps += cell.more
        self.host.need(boot.MACHINES[arch][0])
        kernel = self._once(self.kernels.get, cell.kernel)
        program = self._once(self.programs.get, arch)
        files = self._once(
            self._files,
            arch,
            tuple(sorted({test for step in steps for test in step.tests})),
            any("merging " in step.command for step in steps),
        )
        machine = self.matrix.machine | {"memory": step.memory for step in steps if step.memory}
        key = self._key(cell, steps, machine, kernel, program, files)
        folder = self.work / "out" / cell.name
        if not self.options.again and _completed(folder, key):
            say(f"{cell.name}: completed already")
            self.ran += 1
            return
        accelerator = self._accelerator(cell, kernel, files)
        fresh = self.work / "boots" / cell.name
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        room(fresh, self.matrix.limits["boot_room"])
        wanted = boot.Boot(cell, steps, kernel, files, self.matrix.limits, machine, accelerator)
        say(f"{cell.name}: booting Linux {kernel.release}")
        console, stopped, seconds = wanted.run(fresh, self.stop)
        printed = {name: content for name, content in console.files.items() if content}
        for name, content in printed.items():
            (fresh / name).write_bytes(content)
        reason = judge.reason(cell, console, stopped)
        say(f"{cell.name}: {reason or 'completed'} ({seconds} s)")
        self.ran += bool(console.started)
        commands = {step.name: step for step in steps}
        self._leave(
            cell, fresh, reason=reason or None,
            key="" if reason or any(ran.exit for ran in console.steps) else key,
            kernel=kernel.release, distribution=kernel.distribution, boot_arguments=wanted.arguments(),
            page_size=int(console.facts.get("page_size", cell.kernel.page_size)),
            transparent_hugepage=console.facts.get("transparent_hugepage", cell.transparent_hugepage),
            emulator=boot.emulator(arch, accelerator), program=program.said, seconds=seconds,
            steps=[
                {
                    "name": ran.name, "command": commands[ran.name].command, "exit": ran.exit, "seconds": ran.seconds,
                    "output": commands[ran.name].output if commands[ran.name].output in printed else None,
                }
                for ran in console.steps
            ],
        )  # fmt: skip

    def _files(self, arch: str, tests, merging: bool):
        """What a guest of this architecture has: {path: file}."""
        program = self._once(self.programs.get, arch)
        binaries = {"bin/resetbench": program.path}
        binaries |= {f"tests/{name}": file for name, file in (self.programs.tests(tests) if tests else {}).items()}
        files = binaries | self.programs.libraries(arch, binaries.values())
        files["bin/busybox"] = programs.busybox(self.work, self.packages, arch)
        if merging:
            files["bin/merging"] = self.programs.merging()
        return files

    def _accelerator(self, cell: Cell, kernel, files) -> str:
        if self.options.accel == "tcg":
            return "tcg"

        def probe(arch):
            folder = self.work / "boots" / f"kvm-{arch}"
            why = boot.accelerates(arch, kernel, cell, files, self.matrix.machine, folder)
            say(f"KVM: {why}; emulating {arch} instead" if why else f"KVM boots {arch}")
            return "tcg" if why else "kvm"

        return self._once(probe, cell.kernel.arch)

    def _key(self, cell: Cell, steps, machine, kernel, program, files) -> str:
        """By what a completed cell is known again."""
        tests = sorted(
            (name, hashlib.sha256(file.read_bytes()).hexdigest())
            for name, file in files.items()
            if name.startswith("tests/")
        )
        setting = (cell.name, cell.transparent_hugepage, cell.cgroup, cell.swap, cell.ksm, cell.arguments)
        commands = [(step.name, step.command, step.output) for step in steps]
        said = (
            setting,
            commands,
            machine,
            kernel.release,
            program.hash,
            tests,
            (DATA / "init").read_text(),
        )
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def _leave(self, cell: Cell, fresh, reason, key="", **known):
        """Puts a cell's folder where results are; cell.json goes in last."""
        said = {
            "schema": 1, "cell": cell.name, "arch": cell.kernel.arch, "kernel": None, "distribution": "Debian",
            "page_size": cell.kernel.page_size, "transparent_hugepage": cell.transparent_hugepage, "swap": cell.swap,
            "cgroup": cell.cgroup, "ksm": cell.ksm, "boot_arguments": None, "emulator": None, "program": None,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(), "seconds": None,
            "outcome": "failed" if reason else "completed", "reason": reason, "steps": [],
        } | known  # fmt: skip
        folder = self.work / "out" / cell.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            fresh.rename(folder)
        folder.mkdir(exist_ok=True)
        if key:
            (folder / "key").write_text(key)
        (folder / "cell.json").write_text(json.dumps(said, indent=2) + "\n")

    def _table(self) -> int:
        print(f"\n{judge.HEAD}")
        unsound, failed = False, False
        for cell in self.chosen:
            folder = self.work / "out" / cell.name
            if (folder / "cell.json").exists():
                lines, well, wrong = judge.row(folder)
                print(lines)
                unsound |= wrong
                failed |= not well
        print(f"\nresults: {self.work / 'out'}")
        if self.stop.is_set():
            return 130
        if unsound:
            return 1
        if self.options.ci:
            return self._ci(failed)
        return 0 if self.ran else 2

    def _ci(self, failed: bool) -> int:
        """Says in the words of libtest what ran, and in capitals what could not be had."""
        if self.unobtainable:
            for reason in self.unobtainable.values():
                print(f"NOT TESTED HERE: THE KERNEL MATRIX DID NOT RUN, SINCE PACKAGES CANNOT BE HAD: {reason}")
            return 0
        print(f"test {CI_TEST} ... {'FAILED' if failed else 'ok'}")
        return int(failed)


def _completed(folder: Path, key: str) -> bool:
    try:
        said = json.loads((folder / "cell.json").read_text())
        return said["outcome"] == "completed" and (folder / "key").read_text() == key
    except (OSError, ValueError, KeyError):
        return False
