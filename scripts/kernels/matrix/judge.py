"""What a cell came to: its cell.json, and the table of all."""

import json
from collections import Counter
from pathlib import Path

# Of several outcomes of a strategy in a cell the first of these counts.
ORDER = ("diverged", "equivalent", "not-run", "refused", "unavailable")


def reason(cell, console, stopped: str) -> str:
    """Why a boot is no completed cell, or an empty string."""
    limits = {name: step.limit for name, step in cell.all_steps().items()}
    outputs = {name: step.output for name, step in cell.all_steps().items()}
    reasons = [stopped] if stopped else []
    reasons += console.problems
    facts = console.facts
    if console.started:
        for key, wanted in (
            ("transparent_hugepage", cell.transparent_hugepage),
            ("page_size", str(cell.kernel.page_size)),
            ("swap", str(int(cell.swap))),
            ("ksm", str(int(cell.ksm))),
        ):
            if facts.get(key, "") != wanted:
                reasons.append(f"{key} is {facts.get(key) or 'unknown'} and should be {wanted}")
    for ran in console.steps:
        if ran.exit is None:
            continue
        if ran.seconds >= limits[ran.name]:
            reasons.append(f"{ran.name} did not end in {limits[ran.name]} s")
        elif ran.exit != 0 and not _only_unsound(console.files.get(outputs[ran.name])):
            stderr = console.files.get(f"{ran.name}.stderr", b"").decode(errors="replace")
            errors = [line for line in stderr.splitlines() if line.startswith("error")] or stderr.splitlines()
            words = f": {errors[0].removeprefix('error: ')}" if errors else ""
            reasons.append(f"{ran.name} ended with {ran.exit}{words}")
    return "; ".join(reasons)


def _only_unsound(report) -> bool:
    """Whether a verification failed over what it found, and not because something could not be judged."""
    try:
        found = {cell["equivalence"] for cell in json.loads(report)["cells"] if not cell["control"]}
    except (ValueError, KeyError, TypeError):
        return False
    return "diverged" in found and "not-run" not in found


def strategies(folder: Path):
    """{strategy: equivalence} of those that claim to be sound, and what differed: [(strategy, workload, difference)]."""
    seen, unsound = {}, []
    for file in sorted(folder.glob("verify*.json")):
        try:
            cells = json.loads(file.read_text())["cells"]
        except (ValueError, KeyError, TypeError):
            continue
        for cell in cells:
            if cell["control"]:
                continue
            name, equivalence = cell["strategy"], cell["equivalence"]
            if equivalence == "diverged":
                unsound.append((name, cell["workload"], cell["first_difference"]))
            known = seen.get(name, equivalence)
            seen[name] = min(known, equivalence, key=ORDER.index)
    return seen, unsound


def row(folder: Path):
    """A line of the table for one cell, and whether a strategy that claims to be sound is not."""
    said = json.loads((folder / "cell.json").read_text())
    seen, unsound = strategies(folder)
    counts = Counter(seen.values())
    numbers = [counts[word] for word in ("equivalent", "refused", "unavailable", "not-run")]
    names = sorted({name for name, _, _ in unsound})
    seconds = said["seconds"]
    line = f"{said['cell']:<42} {said['outcome']:<9} {seconds if seconds is not None else '-':>5} s" + "".join(
        f"{number:>6}" for number in numbers
    )
    lines = [f"{line}  {', '.join(names) or '-'}"]
    lines += [f"    {said['reason']}"] if said["reason"] else []
    lines += [f"    UNSOUND: {name} on {workload}: {difference}" for name, workload, difference in unsound]
    return "\n".join(lines), bool(unsound)


HEAD = f"{'cell':<42} {'outcome':<9} {'time':>7} {'equal':>5} {'refd':>5} {'unav':>5} {'n.run':>5}  diverged"
