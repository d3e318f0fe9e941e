"""What kernels.toml says, checked."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ARCHITECTURES = ("x86_64", "aarch64")
TRANSPARENT_HUGEPAGE = ("always", "madvise", "never")


class Trouble(Exception):
    """A reason why a cell, or all of them, cannot go on, in words for whoever reads the table."""


class Unobtainable(Trouble):
    """What cannot be had here: packages, a mirror, an emulator. In CI it is said and passed over."""


@dataclass(frozen=True)
class Kernel:
    name: str
    arch: str
    suites: tuple
    package: str = ""
    source: str = ""
    fragment: str = ""
    page_size: int = 4096


@dataclass(frozen=True)
class Step:
    name: str
    command: str
    limit: int
    output: str = ""
    memory: str = ""
    tests: tuple = ()


@dataclass(frozen=True)
class Cell:
    name: str
    kernel: Kernel
    steps: tuple
    transparent_hugepage: str
    cgroup: int
    swap: bool = False
    ksm: bool = False
    more: tuple = ()
    ci: tuple = ()
    arguments: str = ""
    limit: int = 0

    def all_steps(self):
        return {step.name: step for step in self.steps + self.more + self.ci}


@dataclass(frozen=True)
class Matrix:
    cells: tuple
    limits: dict = field(default_factory=dict)
    machine: dict = field(default_factory=dict)


def read(path: Path) -> Matrix:
    """Reads the file; what is wrong with it is a Trouble that names the entry."""
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise Trouble(f"{path}: {error}") from error
    try:
        kernels = {name: _kernel(name, entry) for name, entry in data["kernel"].items()}
        steps = {name: Step(name, **_tuples(entry, "tests")) for name, entry in data["step"].items()}
        cells = tuple(_cell(entry, kernels, steps) for entry in data["cell"])
    except (KeyError, TypeError) as error:
        raise Trouble(f"{path}: {error}") from error
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        raise Trouble(f"{path}: two cells have one name")
    return Matrix(cells, data["limits"], data["machine"])


def _kernel(name, entry):
    kernel = Kernel(name, **_tuples(entry, "suites"))
    if kernel.arch not in ARCHITECTURES:
        raise Trouble(f"kernel {name}: arch is one of {', '.join(ARCHITECTURES)}")
    if bool(kernel.package) == bool(kernel.source) or bool(kernel.source) != bool(kernel.fragment):
        raise Trouble(f"kernel {name}: has a package, or a source and a fragment")
    re.compile(kernel.package or kernel.source)
    return kernel


def _cell(entry, kernels, steps):
    name = entry.get("name", "a cell without a name")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise Trouble(f"cell {name}: the name becomes a folder's")
    if entry.get("transparent_hugepage") not in TRANSPARENT_HUGEPAGE:
        raise Trouble(f"cell {name}: transparent_hugepage is one of {', '.join(TRANSPARENT_HUGEPAGE)}")
    if entry.get("cgroup") not in (1, 2):
        raise Trouble(f"cell {name}: cgroup is 1 or 2")
    try:
        kernel = kernels[entry["kernel"]]
        lists = {key: tuple(steps[step] for step in entry.get(key, ())) for key in ("steps", "more", "ci")}
    except KeyError as error:
        raise Trouble(f"cell {name}: there is no kernel or step {error}") from error
    return Cell(**{**entry, "kernel": kernel, **lists})


def _tuples(entry, *keys):
    return {key: tuple(value) if key in keys else value for key, value in entry.items()}
