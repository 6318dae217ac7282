"""`ttamer doctor`: what on this machine will spoil measurements."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ttamer.cli import render
from ttamer.cli.options import Format, FormatOption
from ttamer.profiles.errors import UntrustworthyError

SIGNS = {"fine": "ok", "spoils": "SPOILS", "unknown": "unknown"}


def run(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 5 if anything spoils measurements.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Say what on this machine will spoil measurements, and how to mend it.

    Looks at quotas, neighbours, stolen time, clocks, hyper-threads, thread variables, NUMA, memory, disk, and
    at whether torch, torchvision and the GPU fit each other.

    Example: ttamer doctor --format json
    """
    from ttamer.exits.torchvision_import import installed_software
    from ttamer.profiles.shelf import SHELF
    from ttamer.profiling.conditions import watch
    from ttamer.profiling.doctor import Patient, Software, examine
    from ttamer.profiling.machine import read_machine

    facts = read_machine().facts
    conditions = watch(facts["allowed_cpus"], Path(SHELF), wait=time.sleep)
    findings = examine(Patient(facts=facts, conditions=conditions, software=Software(**installed_software())))
    bad = [finding for finding in findings if finding.state == "spoils"]
    if format is Format.TABLE:
        rows = [(finding.topic, SIGNS[finding.state], finding.what) for finding in findings]
        render.table(["looked at", "state", "seen"], rows)
        for finding in bad:
            render.say(f"  try for {finding.topic}: {finding.remedy}")
    else:
        render.document({"findings": [asdict(finding) for finding in findings]}, format)
    if bad and strict:
        raise UntrustworthyError(
            f"{render.count(len(bad), 'thing')} will spoil measurements: {', '.join(one.topic for one in bad)}",
            remedy=bad[0].remedy,
        )
    render.say(f"{render.count(len(bad), 'thing')} will spoil measurements" if bad else "nothing spoils measurements")
