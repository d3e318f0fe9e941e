#!/usr/bin/env python3
"""What the kernel matrix decides by, on literal input: python3 scripts/kernels/tests.py"""

import base64
import gzip
import hashlib
import json
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from matrix import boot, cells, cpio, judge, kernels, packages  # noqa: E402
from matrix.console import Console  # noqa: E402

KERNEL = cells.Kernel("k", "x86_64", ("bookworm",), package="linux-image")
VERIFY = cells.Step("verify", "resetbench verify --json", 100, "verify.json")
CELL = cells.Cell("c", KERNEL, (VERIFY,), "always", 2, swap=True)
FACTS = [
    "KM-FACT page_size 4096",
    "KM-FACT transparent_hugepage always",
    "KM-FACT swap 1",
    "KM-FACT ksm 0",
    "KM-START 3",
]


def sent(name, content):
    lines = base64.encodebytes(gzip.compress(content)).decode().split()
    return [f"KM-FILE {name} {hashlib.md5(content).hexdigest()}", *lines, f"KM-FILE-END {name}"]


def console(*lines):
    made = Console()
    for line in lines:
        made.line(f"{line}\r\n")
    return made


def report(**equivalence):
    found = [
        {
            "strategy": name.replace("_", "/"),
            "workload": "w",
            "control": name.startswith("control"),
            "equivalence": word,
            "first_difference": "byte 3",
        }
        for name, word in equivalence.items()
    ]
    return json.dumps({"cells": found}).encode()


class WhatAGuestSays(unittest.TestCase):
    def test_steps_facts_and_files_are_read(self):
        read = console(
            *FACTS, "KM-STEP verify", *sent("verify.json", b"{}\n" * 999), "KM-DONE verify 0 12", "KM-END 20"
        )
        self.assertEqual((read.files["verify.json"], read.steps[0].exit, read.steps[0].seconds), (b"{}\n" * 999, 0, 12))
        self.assertEqual(judge.reason(CELL, read, ""), "")

    def test_a_file_that_the_kernel_wrote_into_is_not_taken(self):
        lines = sent("verify.json", bytes(range(256)) * 9)
        for broken in ([lines[0], "[ 1.0] oops", *lines[1:]], [lines[0], *lines[2:]]):
            read = console(*FACTS, *broken)
            self.assertEqual(read.files, {})
            self.assertIn("did not come over the console whole", judge.reason(CELL, read, ""))

    def test_a_panic_is_the_reason(self):
        read = console(*FACTS, "KM-STEP verify", "[    3.1] Kernel panic - not syncing: no init found")
        self.assertEqual(read.panic, "Kernel panic - not syncing: no init found")

    def test_a_machine_that_is_not_what_the_cell_says_is_no_such_cell(self):
        read = console(*[fact.replace("swap 1", "swap 0") for fact in FACTS], "KM-END 9")
        self.assertEqual(judge.reason(CELL, read, ""), "swap is 0 and should be 1")


class WhatItComesTo(unittest.TestCase):
    def ended(self, code, seconds, content):
        return console(
            *FACTS, "KM-STEP verify", f"KM-DONE verify {code} {seconds}", *sent("verify.json", content), "KM-END 99"
        )

    def test_a_cell_is_completed_if_its_steps_came_to_an_end(self):
        self.assertEqual(judge.reason(CELL, self.ended(1, 9, b"{}"), ""), "")
        self.assertEqual(judge.reason(CELL, self.ended(139, 9, b"{"), ""), "verify was killed by signal 11")
        late = self.ended(130, 100, b"")
        self.assertEqual(judge.reason(CELL, late, ""), "verify did not end in 100 s")
        self.assertIsNone(late.steps[0].exit)

    def test_a_step_that_ended_badly_is_told_with_its_error(self):
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "verify.stderr").write_text("a note\nerror: a on b could not be verified: c\nerror: d\n")
            steps = [{"name": "doctor", "exit": 0}, {"name": "verify", "exit": 1}, {"name": "run", "exit": None}]
            said = judge.troubles(Path(name), {"steps": steps})
            self.assertEqual(said, ["verify ended with 1: a on b could not be verified: c"])

    def test_only_claims_are_unsound(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "verify.json").write_bytes(
                report(control_none="diverged", dirty_a="equivalent", dirty_b="refused")
            )
            self.assertEqual(judge.strategies(folder), ({"dirty/a": "equivalent", "dirty/b": "refused"}, []))
            (folder / "verify-swap.json").write_bytes(report(dirty_a="diverged", dirty_b="equivalent"))
            seen, unsound = judge.strategies(folder)
            self.assertEqual(seen, {"dirty/a": "diverged", "dirty/b": "equivalent"})
            self.assertEqual(unsound, [("dirty/a", "w", "byte 3")])
            (folder / "verify-other.json").write_bytes(b"{")
            self.assertEqual(judge.strategies(folder), (seen, unsound))


class WhatThereIs(unittest.TestCase):
    def test_the_mirror_is_that_of_debian(self):
        others = ("http://other/repo", ["nodistro"], None)
        debian = ("http://m/debian", ["bookworm", "bookworm-updates"], "/k.gpg")
        security = ("http://s/sec", ["bookworm-security"], "/k.gpg")
        self.assertEqual(packages.mirror([others, debian, security]), ("http://m/debian", "http://s/sec", "/k.gpg"))
        self.assertEqual(packages.mirror([debian])[1], "http://m/debian-security")
        with self.assertRaises(cells.Unobtainable):
            packages.mirror([others])

    def test_sources_are_read_in_both_formats(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "sources.list.d").mkdir()
            (folder / "sources.list").write_text(
                "# deb http://no x main\ndeb [arch=amd64 signed-by=/a.gpg] http://a sid main\n"
            )
            text = "Types: deb\n# a comment\nURIs: http://b\nSuites: trixie trixie-updates\nSigned-By: /b.gpg\n\nTypes: deb-src\nURIs: http://c\nSuites: sid\n"
            (folder / "sources.list.d" / "b.sources").write_text(text)
            found = packages._sources(folder)
            self.assertEqual(
                found, [("http://a", ["sid"], "/a.gpg"), ("http://b", ["trixie", "trixie-updates"], "/b.gpg")]
            )

    def test_reasons_name_no_mirror(self):
        said = packages._without_hosts(
            "E: Failed to fetch http://deb.example.org/x/InRelease  Could not resolve 'deb.example.org'"
        )
        self.assertNotIn("example", said)

    def test_the_newest_is_not_the_last_by_letters(self):
        names = ["linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-10-amd64"]
        self.assertEqual(max(names, key=packages._natural), names[1])

    def test_every_cell_of_the_file_makes_sense(self):
        matrix = cells.read(Path(__file__).with_name("kernels.toml"))
        self.assertGreaterEqual(len(matrix.cells), 10)
        for cell in matrix.cells:
            with self.subTest(cell.name):
                self.assertEqual(cell.steps[0].output, "doctor.json")
                outputs = [step.output for step in cell.steps + cell.more if step.output]
                self.assertEqual(len(set(outputs)), len(outputs), "two steps write one file")
                swaps = any(
                    "memory-limit" in step.command or "paged-out" in step.command for step in cell.all_steps().values()
                )
                self.assertTrue(cell.swap or not swaps, "pages cannot be pushed out without swap")

    def test_an_archive_has_the_folders_above_its_files(self):
        with tempfile.TemporaryDirectory() as name:
            archive, file = cpio.Archive(), Path(name) / "a"
            archive.data("a/b/c", b"12345")
            archive.write(file)
            content = file.read_bytes()
            self.assertEqual(len(content) % 4, 0)
            for entry in (b"a\0", b"a/b\0", b"a/b/c\0", b"TRAILER!!!\0"):
                self.assertIn(entry, content)

    def test_modules_come_after_those_that_they_need(self):
        with tempfile.TemporaryDirectory() as name:
            for module, needs in (
                ("zram.ko", b"lz4-hc,zsmalloc"),
                ("lz4_hc.ko", b"zsmalloc"),
                ("zsmalloc.ko", b""),
                ("other.ko", b""),
            ):
                (Path(name) / module).write_bytes(b"x\0depends=" + needs + b"\0y")
            found = kernels.Unpacked("1", "Debian", Path(name), Path(name)).needed("zram")
            self.assertEqual([file.name for file in found], ["zsmalloc.ko", "lz4_hc.ko", "zram.ko"])


class WhatBecomesOfABoot(unittest.TestCase):
    """With a shell script in the emulator's place."""

    def boot(self, script, **limits):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "modules").mkdir()
            wanted = boot.Boot(
                CELL,
                (),
                kernels.Unpacked("1", "Debian", folder, folder / "modules"),
                {},
                {"start": 5, "boot": 5} | limits,
                {"swap": "1G"},
            )
            said = ["sh", "-c", script.replace("LOG", str(folder / "boot.log"))]
            object.__setattr__(wanted, "command", lambda *_: said)
            return wanted.run(folder, threading.Event())

    def test_each_way_to_end_has_its_reason(self):
        for script, limits, reason in (
            ("echo KM-START 1 > LOG; echo KM-END 2 >> LOG", {}, ""),
            (
                "echo KM-START 1 > LOG; echo KM-STEP verify >> LOG; exit 3",
                {},
                "the machine stopped in step verify (the emulator ended with 3)",
            ),
            ("echo no such machine >&2; exit 1", {}, "the emulator: no such machine"),
            ("echo '[1] Kernel panic - not syncing: x' > LOG", {}, "Kernel panic - not syncing: x"),
            ("exec sleep 9", {"start": 1}, "the machine was not up in 1 s"),
            (
                "echo KM-START 1 > LOG; echo KM-STEP verify >> LOG; exec sleep 9",
                {"boot": 1},
                "the boot did not end in 1 s, in step verify",
            ),
        ):
            with self.subTest(script):
                self.assertEqual(self.boot(script, **limits)[1], reason)


if __name__ == "__main__":
    unittest.main()
