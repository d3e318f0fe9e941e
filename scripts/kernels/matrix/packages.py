"""Debian packages, from the mirror that this machine's apt is set up for, with lists of our own: nothing is installed."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

from .cells import Trouble, Unobtainable
from .host import Host, last_line, room, say

DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
RELEASES = {"bullseye", "bookworm", "trixie", "forky", "sid", "stable", "oldstable", "testing", "unstable"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Packages:
    """Suites of one mirror, and what was fetched from them."""

    def __init__(self, work: Path, host: Host, suites, architectures):
        self._folder = work / "apt"
        self._cache = work / "packages"
        self._host = host
        self._suites = sorted(suites)
        # This machine's own comes first: apt takes it for the one that names without an architecture mean.
        self._architectures = list(
            dict.fromkeys([_own_architecture(), *sorted(DEBIAN[arch] for arch in architectures)])
        )
        self._updated = None
        self._lock = threading.Lock()

    def newest(self, pattern: str) -> str:
        """The newest package whose whole name matches."""
        self._update()
        found = self._ask("apt-cache", "search", "--names-only", f"^{pattern}$").splitlines()
        names = [line.split(" - ")[0] for line in found]
        names = [name for name in names if re.fullmatch(pattern, name)]
        if not names:
            raise Unobtainable(
                f"no package {pattern} in {', '.join(self._suites)}" + (self._updated and f" ({self._updated})")
            )
        return max(names, key=_natural)

    def depends(self, name: str, pattern: str):
        """Names of packages that a package depends on."""
        found = self._ask("apt-cache", "depends", "--important", name)
        names = re.findall(r"Depends: <?([^\s<>]+)", found)
        names = [name.partition(":")[0] for name in names]
        return [name for name in names if re.fullmatch(pattern, name)]

    def version(self, name: str, arch: str) -> str:
        """The version that would be fetched; `arch` may be "all"."""
        self._update()
        found = self._ask("apt-cache", "policy", _qualified(name, arch))
        match = re.search(r"Candidate: (\S+)", found)
        if not match or match[1] == "(none)":
            raise Unobtainable(f"no package {_qualified(name, arch)} in {', '.join(self._suites)}")
        return match[1]

    def fetch(self, name: str, arch: str, needed: int, version: str = "") -> Path:
        """Downloads a package, or takes the one that lies there already."""
        self._cache.mkdir(parents=True, exist_ok=True)
        version = version or self.version(name, arch)
        file = self._cache / f"{name}_{version.replace(':', '%3a')}_{DEBIAN.get(arch, arch)}.deb"
        if not file.exists():
            room(self._cache, needed)
            say(f"fetching {name} {version}")
            self._ask("apt-get", "-q", "download", f"{_qualified(name, arch)}={version}", cwd=self._cache)
        if not file.exists():
            raise Trouble(f"apt-get download {name} succeeded and left no {file.name}")
        return file

    def fetch_with_dependencies(self, *names: str):
        """Downloads packages and all that this machine lacks of what they depend on."""
        self._update()
        archives = self._folder / "archives"
        (archives / "partial").mkdir(parents=True, exist_ok=True)
        say(f"fetching {' '.join(names)} and what they depend on")
        options = ["-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={archives}"]
        self._ask("apt-get", "-qy", *options, "--no-install-recommends", "--download-only", "install", *names)
        return sorted(archives.glob("*.deb"))

    def _update(self):
        """Reads what the mirror has, once. Old lists do where it does not answer."""
        with self._lock:
            if self._updated is None:
                self._read_lists()

    def _read_lists(self):
        self._host.need("apt-get", "dpkg-deb")
        self._write_configuration()
        say(f"reading the package lists of {', '.join(self._suites)}")
        done = self._call("apt-get", "-q", "update")
        failed = [line[3:] for line in done.stderr.splitlines() if line.startswith(("W: Failed", "E:"))]
        if done.returncode != 0 or failed:
            self._updated = _without_hosts((failed or [last_line(done.stderr)])[0])
            say(f"not all package lists could be read: {self._updated}")
        else:
            self._updated = ""

    def _write_configuration(self):
        for name in ("lists/partial", "archives/partial"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        main, security, keyring = mirror(_sources(Path("/etc/apt")))
        options = f"[arch={','.join(self._architectures)} signed-by={keyring}]"
        lines = [
            f"deb {options} {security if suite.endswith('-security') else main} {suite} main" for suite in self._suites
        ]
        (self._folder / "sources.list").write_text("\n".join(lines) + "\n")
        architectures = " ".join(f'"{name}";' for name in self._architectures)
        (self._folder / "apt.conf").write_text(f"""\
Dir::Etc::sourcelist "{self._folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{self._folder}/lists";
Dir::Cache "{self._folder}";
APT::Architectures {{ {architectures} }};
APT::Get::List-Cleanup "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
""")

    def _call(self, tool, *arguments, cwd=None):
        # Container images switch this cache off to save room; without it each call reads all lists anew.
        command = [tool, "-o", "Dir::Cache::pkgcache=pkgcache.bin", *arguments]
        environment = {**os.environ, "APT_CONFIG": str(self._folder / "apt.conf"), "LC_ALL": "C"}
        return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)

    def _ask(self, *command, cwd=None) -> str:
        done = self._call(*command, cwd=cwd)
        if done.returncode != 0:
            words = _without_hosts(last_line(done.stderr))
            raise Unobtainable(f"{command[0]} {command[-1]}: {words}")
        return done.stdout


def mirror(entries):
    """(URI of Debian, URI of its security updates, keyring) of apt's entries: [(URI, suites, keyring)]."""
    main = security = keyring = None
    for uri, suites, signed_by in entries:
        for suite in suites:
            release, _, pocket = suite.partition("-")
            if release not in RELEASES:
                continue
            keyring = keyring or signed_by
            if pocket == "security":
                security = security or uri
            else:
                main = main or uri
    if not main:
        raise Unobtainable("apt on this machine knows no mirror of Debian (in /etc/apt/sources.list, sources.list.d)")
    # Mirrors have both side by side.
    return main, security or main.rstrip("/") + "-security", keyring or KEYRING


def _sources(folder: Path):
    entries = []
    for file in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]:
        text = file.read_text() if file.exists() else ""
        for line in text.splitlines():
            match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)", line.strip())
            if match:
                signed = re.search(r"signed-by=(\S+)", match[1] or "")
                entries.append((match[2], [match[3]], signed and signed[1]))
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        for paragraph in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", file.read_text())):
            fields = {
                key.lower(): " ".join(value.split())
                for key, value in re.findall(r"(?m)^([\w-]+):((?:.*)(?:\n[ \t].*)*)", paragraph)
            }
            if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
                continue
            signed = fields.get("signed-by", "")
            for uri in fields.get("uris", "").split():
                entries.append((uri, fields.get("suites", "").split(), signed if signed.startswith("/") else None))
    return entries


def _own_architecture() -> str:
    if not shutil.which("dpkg"):
        raise Unobtainable("this machine has no dpkg: kernels come as Debian packages")
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def _qualified(name: str, arch: str) -> str:
    return name if arch == "all" else f"{name}:{DEBIAN[arch]}"


def _natural(name: str):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _without_hosts(text: str) -> str:
    """Which mirror it was is nobody's business: reasons end up in results."""
    return re.sub(r"\w+://\S+|'[\w.-]+\.[a-z]{2,}'|[\w-]+(\.[\w-]+)*\.(org|com|net)\S*", "the mirror", text)
