"""What a guest says on its console, line by line. `init` is the other end."""

import base64
import binascii
import gzip
import hashlib
from dataclasses import dataclass, field


@dataclass
class Ran:
    name: str
    exit: int | None = None
    seconds: int | None = None


@dataclass
class Console:
    """Facts, steps and files of a guest, as far as it got."""

    facts: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)
    steps: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    started: bool = False
    ended: bool = False
    panic: str = ""
    _name: str = ""
    _digest: str = ""
    _lines: list = field(default_factory=list)

    def line(self, text: str) -> str | None:
        """Reads a line; returns what is worth telling whoever waits."""
        text = text.rstrip("\r\n")
        word, _, rest = text.partition(" ")
        if self._name:
            self._file_line(word, text)
        elif word == "KM-FACT":
            key, _, value = rest.partition(" ")
            self.facts[key] = value
        elif word == "KM-PROBLEM":
            self.problems.append(rest)
            return rest
        elif word == "KM-START":
            self.started = True
            return f"Linux {self.facts.get('release')} is up after {rest} s"
        elif word == "KM-STEP":
            self.steps.append(Ran(rest))
        elif word == "KM-DONE":
            name, code, seconds = rest.split(" ")
            self.steps[-1].exit, self.steps[-1].seconds = int(code), int(seconds)
            return f"{name}: {seconds} s" + ("" if code == "0" else f", exit {code}")
        elif word == "KM-FILE":
            self._name, _, self._digest = rest.partition(" ")
            self._lines = []
        elif word == "KM-END":
            self.ended = True
        elif "Kernel panic" in text and not self.panic:
            self.panic = text[text.index("Kernel panic") :]
            return self.panic
        return None

    def _file_line(self, word, text):
        if word != "KM-FILE-END":
            self._lines.append(text)
            return
        name, self._name = self._name, ""
        try:
            content = gzip.decompress(base64.b64decode("".join(self._lines), validate=True))
        except (binascii.Error, OSError, EOFError) as error:
            self.problems.append(f"{name} did not come over the console whole: {error}")
            return
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != self._digest:
            self.problems.append(f"{name} did not come over the console whole")
            return
        self.files[name] = content
