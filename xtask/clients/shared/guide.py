"""The guide's own command lines: stored next to each suite, run by bash, changed in host, key and ids only."""

import os
import subprocess
from pathlib import Path


class Guide:
    """The blocks of a `guide.txt`: a heading `# Step` and the command lines below it."""

    def __init__(self, path: Path) -> None:
        self._blocks = {}
        for block in path.read_text().split("\n\n"):
            heading, _, lines = block.strip().partition("\n")
            self._blocks[heading.removeprefix("# ")] = lines

    def steps(self) -> list[str]:
        return list(self._blocks)

    def lines(self, step: str, **changes: str) -> str:
        """The command lines of a step; each change must find its text, or the step is no longer what it was."""
        lines = self._blocks[step]
        for placeholder, value in changes.items():
            lines = replaced(lines, f"{{{{{placeholder}}}}}", value)
        if "{{" in lines:
            raise AssertionError(f"a placeholder is left in:\n{lines}")
        return lines


def replaced(lines: str, text: str, value: str) -> str:
    if text not in lines:
        raise AssertionError(f"there is no {text!r} in:\n{lines}")
    return lines.replace(text, value)


def bash(script: str, home: Path) -> str:
    """Runs a script as a user would type it, away from the settings of whoever runs the suite."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
