"""What a cell came to: its cell.json, and the table of all."""

import json
from collections import Counter
from pathlib import Path

# Of several outcomes of a strategy in a cell the first of these counts.
ORDER = ("diverged", "equivalent", "not-run", "refused", "unavailable")


def reason(cell, console, stopped: str) -> str:
    """Why a boot is no completed cell, or an empty string: it is one if all steps were taken, whatever came of each."""
    limits = {name: step.limit for name, step in cell.all_steps().items()}
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
            ran.exit = None
        elif ran.exit > 128:
            reasons.append(f"{ran.name} was killed by signal {ran.exit - 128}")
    return "; ".join(reasons)


def troubles(folder: Path, said):
    """Steps of a cell that ended badly by themselves, with the first of their errors."""
    found = []
    for step in said["steps"]:
        if not step["exit"]:
            continue
        file = folder / f"{step['name']}.stderr"
        stderr = file.read_text(errors="replace") if file.exists() else ""
        errors = [line for line in stderr.splitlines() if line.startswith("error")] or stderr.split("\n", 1)[:1]
        words = ": ".join(["", *(error.removeprefix("error: ") for error in errors[:1] if error)])
        found.append(f"{step['name']} ended with {step['exit']}{words}")
    return found


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
    """Lines of the table for one cell, whether all of it went well, and whether a strategy that claims to be sound is not."""
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
    ill = troubles(folder, said)
    lines += [f"    {trouble}" for trouble in ill]
    lines += [f"    UNSOUND: {name} on {workload}: {difference}" for name, workload, difference in unsound]
    return "\n".join(lines), not ill and said["outcome"] == "completed", bool(unsound)


HEAD = f"{'cell':<42} {'outcome':<9} {'time':>7} {'equal':>5} {'refd':>5} {'unav':>5} {'n.run':>5}  diverged"
