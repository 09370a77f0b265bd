"""`crannog sql` as a person meets it: on a real terminal, with keys, widths, Ctrl-C, and a history that stays."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from harness import Server, binary, unique, until

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
UP, CTRL_C, CTRL_D = "\x1b[A", "\x03", "\x04"
SLOW = "SELECT count(*) AS slow FROM range(100000) a CROSS JOIN range(100000) b CROSS JOIN range(1000) c WHERE a.id * b.id % 7 = c.id;"
WITHIN = 60


class Prompt:
    """A terminal with `crannog sql` in it. Ends with the block."""

    def __init__(self, server: Server, home: Path, columns: int = 120, token: str | None = None):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.terminal, self.seen, self.read_to = ours, "", 0
        self.process = subprocess.Popen(
            [str(binary()), "sql"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal, as everywhere
            env={
                "TERM": "xterm",
                "HOME": str(home),
                "CRANNOG_HOST": server.url,
                "CRANNOG_TOKEN": token or server.admin_token,
            },
        )
        os.close(theirs)

    def __enter__(self):
        self.shows("crannog> ")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.terminal)

    def type(self, keys: str):
        os.write(self.terminal, keys.encode())

    def shows(self, text: str) -> str:
        """Waits until the text has come since the last call, and returns what came up to its end."""
        deadline = time.monotonic() + WITHIN
        while (at := self.seen.find(text, self.read_to)) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come; this did: {self.seen[self.read_to :]!r}"
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    came = os.read(self.terminal, 65536).decode(errors="replace")
                except OSError:  # the program has ended and closed its side
                    raise AssertionError(f"{text!r} did not come before the end: {self.seen[self.read_to :]!r}") from None
                self.seen = ESCAPES.sub("", self.seen + came)
        came, self.read_to = self.seen[self.read_to : at + len(text)], at + len(text)
        return came

    def leave(self) -> None:
        """Ctrl-D at the prompt; before the prompt is there, the terminal would take it for itself."""
        self.shows("> ")
        self.type(CTRL_D)
        assert self.ends() == 0

    def ask(self, statement: str) -> str:
        """Types a statement and returns what came after it, up to the line that counts rows and seconds."""
        self.type(statement + "\r")
        came = self.shows(" s\n")
        return came

    def ends(self) -> int:
        return until(lambda: None if self.process.poll() is None else (self.process.returncode,), "the prompt ends", WITHIN)[0]


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


def test_statements_span_lines_and_failures_end_nothing(server, tmp_path):
    with Prompt(server, tmp_path) as prompt:
        prompt.type("SELECT 1 AS a,\r")
        prompt.type("2 AS b; SELECT 3 AS c;\r")
        came = prompt.shows("c\n-\n3\n1 row, ")
        assert "a  b\n-  -\n1  2\n1 row, " in came
        prompt.shows(" s\n")
        assert "0 rows, " in prompt.ask("SELECT * FROM range(0);")
        prompt.type("SELEC 1;\r")
        prompt.shows("[PARSE_SYNTAX_ERROR]")
        prompt.type("SELECT * FROM main.default.nothing_here;\r")
        prompt.shows("[TABLE_OR_VIEW_NOT_FOUND]")
        assert "done, " in prompt.ask("CREATE SCHEMA IF NOT EXISTS main.prompts;")
        prompt.ask("USE main.prompts;")
        prompt.shows("main.prompts> ")
        assert "main.prompts" not in prompt.ask("SELECT current_schema() AS here;").replace("main.prompts> ", "")
        prompt.type("help\r")
        prompt.shows("quit, exit or Ctrl-D leaves")
        prompt.type("this is no statement yet")
        prompt.shows("this is no statement yet")
        prompt.type(CTRL_C)
        prompt.shows("main.prompts> ")
        assert "4" in prompt.ask("SELECT 2 + 2 AS four;")
        prompt.leave()


def test_a_time_zone_stays_until_it_is_reset(server, tmp_path):
    with Prompt(server, tmp_path) as prompt:
        prompt.ask("SET TIME ZONE 'Asia/Kathmandu';")
        zone = "SELECT date_format(timestamp_seconds(0), 'HH:mm') AS at_zero;"
        assert "\n05:30\n" in prompt.ask(zone)
        prompt.type("SET TIME ZONE 'Mars/Phobos';\r")
        prompt.shows("[INVALID_TIMEZONE]")
        assert "\n05:30\n" in prompt.ask(zone)
        prompt.ask("RESET TIMEZONE;")
        assert "\n00:00\n" in prompt.ask(zone)


def test_the_history_stays_and_is_its_owners_alone(server, tmp_path):
    with Prompt(server, tmp_path) as prompt:
        prompt.ask("SELECT 'remember me' AS word;")
        prompt.type("quit\r")
        assert prompt.ends() == 0
    file = tmp_path / ".local" / "state" / "crannog" / "sql_history"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    with Prompt(server, tmp_path) as prompt:
        prompt.type(UP + UP + "\r")
        prompt.shows("word\n-----------\nremember me\n1 row")


def test_a_table_that_does_not_fit_is_printed_row_by_row(server, tmp_path):
    wide = "SELECT id, repeat('x', 30) AS first, repeat('y', 30) AS second FROM range(2);"
    with Prompt(server, tmp_path, columns=100) as prompt:
        assert re.search(r"id +first +second\n", prompt.ask(wide))
    with Prompt(server, tmp_path, columns=50) as prompt:
        came = prompt.ask(wide)
        assert f"-- row 2 --\nid      1\nfirst   {'x' * 30}\nsecond  {'y' * 30}\n" in came, came


def test_ctrl_c_cancels_what_runs_on_the_server_too(server, tmp_path):
    word = unique("slow")
    with Prompt(server, tmp_path) as prompt:
        prompt.type(SLOW.replace("slow", word) + "\r")
        prompt.shows("(Ctrl-C cancels)")
        prompt.type(CTRL_C)
        prompt.shows("cancelled\n")
        assert "\n   5\n" in prompt.ask("SELECT 5 AS five;")

    def ended():
        query = "SELECT execution_status FROM system.query.history WHERE statement_text LIKE :word AND statement_text LIKE '%CROSS JOIN%'"
        rows = server.admin().sql(query, parameters={"word": (f"%{word}%", "STRING")})
        return rows if rows and rows[0][0] != "RUNNING" else None

    assert until(ended, "the statement has ended on the server", WITHIN) == [["CANCELED"]]


def test_a_script_is_interrupted_with_the_shells_exit_code(server):
    script = subprocess.Popen(
        [str(binary()), "sql", "-e", "SELECT 1; " + SLOW + " SELECT 2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "CRANNOG_HOST": server.url, "CRANNOG_TOKEN": server.admin_token},
    )
    assert [script.stdout.readline() for _ in range(3)] == ["1\n", "-\n", "1\n"]
    script.send_signal(signal.SIGINT)
    out, error = script.communicate(timeout=WITHIN)
    assert (script.returncode, out, error) == (130, "", "cancelled\n")


def test_a_server_that_is_gone_is_told_and_the_prompt_stays(tmp_path):
    with Server() as short_lived:
        with Prompt(short_lived, tmp_path) as prompt:
            short_lived.signal(signal.SIGTERM)
            prompt.type("SELECT 1;\r")
            prompt.shows("was not reached: connection refused; is `crannog up` running there?")
            prompt.leave()
