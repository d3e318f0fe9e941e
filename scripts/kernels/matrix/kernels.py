"""Kernels, fetched or built, each unpacked to what a boot needs: the image, the configuration, a few modules."""

import json
import lzma
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .cells import Kernel, Trouble
from .host import Host, room, run, say
from .packages import Packages

# Where modules for swap lie. Which of them are needed, each says itself.
MODULES = re.compile(r".*/kernel/(drivers/block/zram|mm|lib|crypto)/.*\.ko(\.xz)?$")
CROSS = {"aarch64": ("arm64", "aarch64-linux-gnu-")}


@dataclass(frozen=True)
class Unpacked:
    release: str
    distribution: str
    image: Path
    modules: Path

    def needed(self, wanted: str):
        """Files of a module and of those that it needs, the needed ones first; none if it is built in."""
        files, order = {_module(file): file for file in self.modules.iterdir()}, []

        def visit(name):
            file = files.get(name)
            if file is None or file in order:
                return
            for needed in _depends(file):
                visit(needed)
            order.append(file)

        visit(wanted)
        return order


class Kernels:
    """All kernels that were asked for; each is made once, and fails once."""

    def __init__(self, work: Path, host: Host, packages: Packages, limits: dict, data: Path, refresh: bool):
        self._folder = work / "kernels"
        self._work = work
        self._host = host
        self._packages = packages
        self._limits = limits
        self._data = data
        self._refresh = refresh

    def get(self, kernel: Kernel) -> Unpacked:
        folder = self._folder / kernel.name
        known = folder / "kernel.json"
        if not known.exists() or (self._refresh and not kernel.source):
            self._work.mkdir(parents=True, exist_ok=True)
            build = self._build if kernel.source else self._fetch
            build(kernel, folder, known)
        said = json.loads(known.read_text())
        return Unpacked(said["release"], said["distribution"], folder / "image", folder / "modules")

    def _fetch(self, kernel, folder, known):
        name = self._packages.newest(kernel.package)
        release = re.sub(r"^linux-image-", "", name)
        if known.exists() and json.loads(known.read_text())["release"] == release:
            return
        # Since 6.19 a kernel is split, and this package depends on its parts.
        parts = [name, *self._packages.depends(name, r"linux-(binary|modules)-.*")]
        files = [self._packages.fetch(part, kernel.arch, self._limits["kernel_room"]) for part in parts]
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "modules").mkdir(parents=True)
        for file in files:
            say(f"unpacking {file.name}")
            unpack(file, lambda member: _place(member.name, folder))
        if not (folder / "image").exists():
            raise Trouble(f"there is no kernel in {name}")
        self._remember(known, release, "Debian")

    def _build(self, kernel, folder, known):
        arch, cross = CROSS[kernel.arch]
        self._host.need("make", "flex", "bison", "bc", "cc", f"{cross}gcc")
        name = self._packages.newest(kernel.source)
        version = self._packages.version(name, "all")
        sources = self._work / "sources" / f"{name}_{version}"
        tree = sources / name
        log = self._work / f"build-{kernel.name}.log"
        log.write_text("")
        if not (sources / "complete").exists():
            file = self._packages.fetch(name, "all", self._limits["source_room"], version)
            room(self._work, self._limits["source_room"])
            shutil.rmtree(sources, ignore_errors=True)
            sources.mkdir(parents=True)
            say(f"unpacking {file.name}")
            unpack(file, lambda member: sources / "source.tar.xz" if member.name.endswith(f"{name}.tar.xz") else None)
            run(["tar", "-xf", sources / "source.tar.xz", "-C", sources], log)
            (sources / "source.tar.xz").unlink()
            (sources / "complete").touch()
        make = [
            "make",
            "-C",
            tree,
            f"ARCH={arch}",
            f"CROSS_COMPILE={cross}",
            f"KCONFIG_ALLCONFIG={self._data / kernel.fragment}",
        ]
        say(f"building {kernel.name} from {name} {version} (log: {log})")
        run([*make, "allnoconfig"], log)
        self._check_configuration(tree / ".config", self._data / kernel.fragment)
        processors = subprocess.run(["nproc"], capture_output=True, text=True, check=True).stdout.strip()
        run([*make, f"-j{processors}", "Image"], log)
        release = subprocess.run(
            [*make, "-s", "kernelrelease"], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "modules").mkdir(parents=True)
        shutil.copyfile(tree / "arch" / arch / "boot" / "Image", folder / "image")
        self._remember(known, release, "Debian, built from its source")
        shutil.rmtree(sources)

    @staticmethod
    def _check_configuration(made: Path, fragment: Path):
        """What `make` leaves out of a fragment for want of something else, it leaves out in silence."""
        options = set(made.read_text().splitlines())
        wanted = [line for line in fragment.read_text().splitlines() if line.startswith("CONFIG_")]
        missing = [line for line in wanted if line not in options]
        if missing:
            raise Trouble(f"{fragment.name}: the kernel's configuration does not follow {', '.join(missing)}")

    @staticmethod
    def _remember(known: Path, release: str, distribution: str):
        known.write_text(json.dumps({"release": release, "distribution": distribution}))


def unpack(package: Path, place):
    """Writes the files of a package to where `place(member)` says, and leaves out those of which it says None."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                target = place(member) if member.isfile() else None
                if target is not None:
                    with archive.extractfile(member) as source, target.open("wb") as file:
                        shutil.copyfileobj(source, file)
    if process.returncode != 0:
        raise Trouble(f"dpkg-deb cannot read {package.name}")


def _place(name: str, folder: Path):
    base = name.rpartition("/")[2]
    if base == "vmlinuz" or base.startswith("vmlinuz-"):
        return folder / "image"
    if base == "config" or (base.startswith("config-") and "/boot/" in name):
        return folder / "config"
    return folder / "modules" / base if MODULES.match(name) else None


def _module(file: Path) -> str:
    return file.name.partition(".")[0].replace("-", "_")


def content(module: Path) -> bytes:
    """A module as the kernel reads it."""
    return lzma.decompress(module.read_bytes()) if module.suffix == ".xz" else module.read_bytes()


def _depends(module: Path):
    match = re.search(rb"\0depends=([^\0]*)\0", content(module))
    names = match[1].decode().split(",") if match else []
    return [name.replace("-", "_") for name in names if name]
