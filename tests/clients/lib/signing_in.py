"""People who sign in with a browser: their set-up link, their password, and programs that send them to it."""

import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from harness import unique, until

PASSWORD = "correct horse battery"


def invited(server) -> tuple[str, str]:
    """A new user: their name, and the one-time link that an administrator makes for them."""
    admin = server.admin().client
    name = f"{unique('ana')}@example.com"
    admin.users.create(user_name=name)
    made = admin.api_client.do("POST", "/api/2.0/crannog/setup-links", body={"user_name": name})
    return name, made["setup_url"]


def set_password(page, link: str, password: str = PASSWORD):
    """Goes through the set-up page."""
    page.goto(link)
    page.get_by_label("Password").fill(password)
    page.get_by_label("The same again").fill(password)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("heading", name="You are set up").wait_for()


def sign_in(page, name: str, password: str = PASSWORD):
    """Fills the sign-in page that is shown."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


PROGRAM = """
import sys
from databricks.sdk import WorkspaceClient

print(WorkspaceClient(host=sys.argv[1], auth_type="external-browser").current_user.me().user_name)
"""


class Program:
    """A program with the unmodified databricks-sdk, `auth_type="external-browser"`, in a home folder of its own. Where it
    would open a browser, it hands the address to the test."""

    def __init__(self, server, home: Path):
        self.asked = home / "address"
        opener = home / "browser"
        opener.write_text(f'#!/bin/sh\nprintf %s "$1" > "{self.asked}.part" && mv "{self.asked}.part" "{self.asked}"\n')
        opener.chmod(0o700)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(home), "BROWSER": str(opener)},
        )

    def address(self) -> str:
        """Where the program sends its person."""
        until(lambda: self.asked.exists() or self.process.poll() is not None, "the program opens a browser", 60)
        assert self.asked.exists(), self.process.communicate()[1]
        return self.asked.read_text()

    def ends(self) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        out, errors = self.process.communicate(timeout=60)
        return self.process.returncode, out.strip(), errors

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def program(server, home: Path):
    """A running `Program`. databricks-sdk always listens on port 8020, so on this machine one waits for the other."""
    with open(Path(tempfile.gettempdir()) / "crannog-tests-port-8020.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (home / "address").unlink(missing_ok=True)
        running = Program(server, home)
        try:
            yield running
        finally:
            running.stop()
