"""``segue doctor``: is this machine fit, and if not, what fixes it."""

from __future__ import annotations

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json
from cli.exits import Exit


def doctor_command(home: HomeFlag = None, json: JsonFlag = False) -> int:
    """Check ffmpeg, models, device, versions, and whether the disk under SEGUE_HOME stores files safely."""
    from rich.console import Console
    from rich.text import Text

    from jobs.checkup import CheckStatus, examine

    console = Console(highlight=False, soft_wrap=True)
    styles = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.BROKEN: "bold red"}
    findings = []
    for finding in examine(open_runtime({"home": home})):
        findings.append(finding)
        if not json:
            line = Text.assemble((f"{finding.health:<8}", styles[finding.health]), f"{finding.name}: {finding.detail}")
            console.print(line)
            if finding.fix:
                console.print(Text(f"        {finding.fix}", style="dim"))
    broken = any(finding.health is CheckStatus.BROKEN for finding in findings)
    if json:
        checks = [{"name": f.name, "health": str(f.health), "detail": f.detail, "fix": f.fix} for f in findings]
        print_json({"ok": not broken, "checks": checks})
    elif not broken:
        console.print("this machine is fit")
    return Exit.INCOMPLETE if broken else Exit.DONE
