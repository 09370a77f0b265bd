"""A real browser: Chromium or Chrome without a window, driven by Playwright. `scripts/setup browser` says which. What a page complains of fails the test.

One browser for each file of tests, closed at its end: Playwright keeps an event loop running in this thread, in which other
clients could not start theirs.
"""

import subprocess
from contextlib import contextmanager

from harness import DONE_WITHIN_SECONDS, REPOSITORY
from playwright.sync_api import sync_playwright

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


def chromium() -> str:
    command = [str(REPOSITORY / "scripts" / "setup"), "browser"]
    found = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@contextmanager
def browser():
    """Chromium, and with it everything that it started, until the block ends."""
    with sync_playwright() as playwright:
        # No sandbox: root, as which containers run, cannot have one. The pages are our own.
        running = playwright.chromium.launch(executable_path=chromium(), args=["--disable-gpu"])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def visitor(running, size=DESK, scheme="light", **options):
    """A page of somebody new, with cookies of their own. Errors in its console and failures of the
    Content-Security-Policy fail the test when the block ends."""
    context = running.new_context(viewport=size, color_scheme=scheme, **options)
    page = context.new_page()
    page.set_default_timeout(1000 * DONE_WITHIN_SECONDS)
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    try:
        yield page
        # A refused form is an answer of 4xx, which Chromium writes to the console too; the test looks at those itself.
        assert [c for c in complaints if "Failed to load resource" not in c] == []
    finally:
        context.close()
