"""Runs the command blocks of README.md and docs/*.md against a server, page by page, block by block, in order.

    ```console          each line that begins with `$ ` is a bash command (`> ` goes on with it), which must exit 0; the
                        other lines are output that must come in this order, `…` standing for anything
                        (lines between them may be left out)
    ```console fails    each command must exit with something else than 0
    ```console system   run by test_install.py, on a machine of its own
    ```sql              each statement must succeed through `crannog sql`
    ```sql refused      each statement must fail
    ```python           a script that must exit 0; databricks-sdk finds the server by DATABRICKS_HOST and DATABRICKS_TOKEN
    ```python mlflow    the same, with mlflow installed; it finds the server by MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN

A page has one new server and one empty folder. Variables that a command exports, and the folder it is in, hold for the
blocks after it. `crannog` is the built binary, CRANNOG_HOST and CRANNOG_TOKEN are the admin's, CRANNOG_DATA is the server's
data folder. Blocks in any other language are not run; `sh`, `bash` and `shell` are refused, so that no command is left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from archive import archive
from blocks import blocks, check, commands, statements
from harness import REPOSITORY, Server, binary
from mlflows import environment

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
RUN = ("console", "sql", "python")
SYSTEM = ("system", "system newer", "system moved")
UNRUN_COMMANDS = ("sh", "bash", "shell", "zsh", "shell-session")
COMMAND_SECONDS = 120


class Shell:
    """Runs commands one after the other as one bash session would, beside the server of a page."""

    def __init__(self, server: Server, folder: Path):
        tools = folder / "bin"
        work = folder / "work"
        tools.mkdir()
        work.mkdir()
        (tools / "crannog").symlink_to(binary().resolve())
        self.state = folder / "state.sh"
        self.state.write_text(f"cd {shlex.quote(str(work))}\n")
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("CRANNOG_", "DATABRICKS_")) and not k.lower().endswith("_proxy")
        }
        self.environment = kept | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(folder),
            "CRANNOG_HOST": server.url,
            "CRANNOG_TOKEN": server.admin_token,
            "DATABRICKS_HOST": server.url,
            "DATABRICKS_TOKEN": server.admin_token,
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_TRACKING_TOKEN": server.admin_token,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
            "CRANNOG_DATA": str(server.data),
            "NO_COLOR": "1",
        }
        config = server.folder / "crannog.toml"
        if config.exists():  # of a server on PostgreSQL, for the commands that go without it
            self.environment["CRANNOG_CONFIG"] = str(config)

    def run(self, command: str) -> subprocess.CompletedProcess:
        state = shlex.quote(str(self.state))
        keep = f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}'
        script = f". {state}\ntrap {shlex.quote(keep)} EXIT\nset -o pipefail\n{command}\n"
        return subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )


def test_each_block_says_how_it_is_run():
    wrong = []
    for page in PAGES:
        for block in blocks(page):
            allowed = {"console": ("", "fails", *SYSTEM), "sql": ("", "refused"), "python": ("", "mlflow")}.get(block.language)
            if block.language in UNRUN_COMMANDS or (allowed is not None and block.word not in allowed):
                wrong.append(f"{page.name}:{block.line}: ```{block.language} {block.word}")
            if block.language == "" or (block.language == "console" and not commands(block)):
                wrong.append(f"{page.name}:{block.line}: a block without a language or without a command")
    assert wrong == []


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.language in RUN for b in blocks(p))], ids=lambda p: p.name)
def test_the_blocks_of_a_page_run(page, tmp_path):
    with Server() as server:
        shell = Shell(server, tmp_path)
        if any("crannog-*-linux-*.tar.gz" in line for block in blocks(page) for line in block.lines):
            shutil.copy(archive(), tmp_path / "work")
        for block in blocks(page):
            if block.word in SYSTEM:
                continue
            where = f"{page.relative_to(REPOSITORY)}:{block.line}"
            if block.language == "console":
                for command, output in commands(block):
                    check(where, shell.run(command), command, block.word == "fails", output)
            elif block.language == "sql":
                for statement in statements(block):
                    done = shell.run(f"crannog sql -e {shlex.quote(statement)}")
                    check(where, done, statement, block.word == "refused")
            elif block.language == "python":
                script = tmp_path / "block.py"
                script.write_text("\n".join(block.lines), encoding="utf-8")
                python = environment() if block.word == "mlflow" else sys.executable
                check(where, shell.run(f"{shlex.quote(str(python))} -B {shlex.quote(str(script))}"), "the script", False)
