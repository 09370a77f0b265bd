"""`auth_type="external-browser"`: databricks-sdk sends the person's browser to the sign-in page; they sign in, allow it,
and the browser comes back to the program. In a real Chromium."""

import pytest
from browser import browser, visitor
from signing_in import invited, program, set_password, sign_in


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture
def ana(server, chromium):
    """A user's name; the password is the tests'."""
    name, link = invited(server)
    with visitor(chromium) as page:
        set_password(page, link)
    return name


def test_a_person_signs_in_and_allows_it(server, chromium, ana, tmp_path):
    with program(server, tmp_path) as running, visitor(chromium) as page:
        page.goto(running.address())
        page.get_by_role("heading", name="Sign in").wait_for()
        sign_in(page, ana)
        page.get_by_role("heading", name="Allow access?").wait_for()
        text = page.locator("main").inner_text()
        for wanted in ["databricks-cli", ana, "http://localhost:8020", "all-apis offline_access"]:
            assert wanted in text
        assert running.process.poll() is None, "the program has nothing yet"
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url("http://localhost:8020/?code=*")
        assert running.ends()[:2] == (0, ana)
    # The refresh token is kept in the person's home: the next program asks nobody.
    with program(server, tmp_path) as again:
        assert again.ends()[:2] == (0, ana)
        assert not again.asked.exists()
    # Another home, same browser session: no password again, but they are asked again.
    other = tmp_path / "other"
    other.mkdir()
    with program(server, other) as running, visitor(chromium) as page:
        page.goto(f"{server.url}/login")
        sign_in(page, ana)
        page.goto(running.address())
        page.get_by_role("heading", name="Allow access?").wait_for()
        page.get_by_role("button", name="Allow").click()
        assert running.ends()[:2] == (0, ana)


def test_denied_the_program_says_so(server, chromium, ana, tmp_path):
    with program(server, tmp_path) as running, visitor(chromium) as page:
        page.goto(running.address())
        sign_in(page, ana)
        page.get_by_role("button", name="Deny").click()
        page.wait_for_url("http://localhost:8020/?error=access_denied*")
        status, out, errors = running.ends()
        assert (status, out) == (1, "")
        assert "access_denied: the person denied the request" in errors


def test_somebody_else_can_sign_in_instead(server, chromium, ana, tmp_path):
    ben, link = invited(server)
    with program(server, tmp_path) as running, visitor(chromium) as page:
        set_password(page, link)
        page.goto(running.address())
        assert ben in page.locator("main").inner_text()
        page.get_by_role("link", name="Sign in as somebody else").click()
        sign_in(page, ana)
        page.get_by_role("heading", name="Allow access?").wait_for()
        assert ana in page.locator("main").inner_text()
        page.get_by_role("button", name="Allow").click()
        assert running.ends()[:2] == (0, ana)
