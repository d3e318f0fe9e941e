"""An initramfs as bytes: the "newc" format of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst."""

import stat
from pathlib import Path


class Archive:
    """Collects entries; every folder above an entry comes with it."""

    def __init__(self):
        self._chunks = []
        self._names = set()
        self._next = 1

    def folder(self, name: str):
        if name and name not in self._names:
            self._above(name)
            self._add(name, stat.S_IFDIR | 0o755)

    def data(self, name: str, content: bytes, mode: int = 0o755):
        self._above(name)
        self._add(name, stat.S_IFREG | mode, content)

    def file(self, name: str, path: Path):
        self.data(name, path.read_bytes())

    def console(self):
        """/dev/console, without which the first process has no output."""
        self.folder("dev")
        self._add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))

    def write(self, path: Path):
        self._add("TRAILER!!!", 0)
        with path.open("wb") as file:
            file.writelines(self._chunks)

    def _above(self, name):
        self.folder(name.rpartition("/")[0])

    def _add(self, name, mode, content=b"", device=(0, 0)):
        self._names.add(name)
        text = name.encode() + b"\0"
        fields = (self._next, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(text), 0)
        self._next += 1
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + text
        self._chunks += [head, b"\0" * (-len(head) % 4), content, b"\0" * (-len(content) % 4)]
