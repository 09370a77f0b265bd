"""The pages for people in a real Chromium: the set-up link, signing in and out, the start page, and what is pasted from
them."""

import os
import re
import subprocess
import sys

import pytest
from browser import DESK, PHONE, browser, visitor
from harness import REPOSITORY, binary
from signing_in import PASSWORD, invited, set_password, sign_in


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


def run(*command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABRICKS_")}
    environment["DATABRICKS_CONFIG_FILE"] = os.devnull
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def boxes(page) -> dict[str, str]:
    """The boxes below each heading by its text, as one click selects them."""
    found = {}
    for box in page.locator("pre").all():
        box.click()
        selected = page.evaluate("getSelection().toString()").strip()
        assert selected == box.inner_text().strip()
        heading = box.evaluate("e => { while (!/^H[123]$/.test(e.tagName)) e = e.previousElementSibling; return e.innerText }")
        found[heading] = selected
    return found


def test_the_set_up_link_and_what_it_gives_to_paste(server, chromium):
    name, link = invited(server)
    with visitor(chromium) as page:
        page.goto(link)
        assert name in page.locator("main").inner_text()
        page.get_by_label("Password").fill("a good password")
        page.get_by_label("The same again").fill("another password")
        page.get_by_role("button", name="Set the password").click()
        page.get_by_text("The two passwords are not the same.").wait_for()
        set_password(page, link)
        pasted = boxes(page)
        token = pasted["Your first token"]
        assert re.fullmatch(r"crg_[0-9A-Za-z]{49}", token)
        assert run(sys.executable, "-c", pasted["databricks-sdk"]) == name
        run(sys.executable, "-c", pasted["polars"])
        shell = pasted["Shell, for crannog and databricks-sdk"]
        sdk = "from databricks.sdk import WorkspaceClient; print(WorkspaceClient().current_user.me().user_name)"
        assert run("bash", "-ec", f"{shell}\n{sys.executable} -c '{sdk}'") == name
        assert name in run("bash", "-ec", f"{shell}\n{binary()} sql -e 'SELECT current_user()' --output csv")
        mlflow = run(str(REPOSITORY / "scripts" / "setup"), "python", "mlflow")
        create = 'import mlflow; print(mlflow.create_experiment("pasted"))'
        assert run("bash", "-ec", f"{pasted['mlflow']}\n{mlflow} -c '{create}'").isdecimal()
        # Signed in already; the link is used up.
        page.get_by_role("link", name="To the start page").click()
        page.get_by_text(f"Signed in as {name}").wait_for()
        page.goto(link)
        page.get_by_text("this set-up link is used, too old, or not one of ours").wait_for()


def test_the_link_that_up_prints(new_server, chromium):
    server = new_server()
    link = re.search(r"http://\S+/setup\?code=\S+", server.log.read_text())[0]
    with visitor(chromium) as page:
        set_password(page, link)
        page.goto(server.url)
        page.get_by_text("Signed in as admin@localhost").wait_for()


def test_a_browser_is_led_to_sign_in_and_out(server, chromium):
    name, link = invited(server)
    with visitor(chromium) as page:
        set_password(page, link)
    with visitor(chromium) as page:
        page.goto(server.url)
        assert page.url == f"{server.url}/login"
        sign_in(page, name, "not this one")
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("User name").input_value() == name
        sign_in(page, name)
        page.get_by_text(f"Signed in as {name}").wait_for()
        assert page.url == f"{server.url}/"
        pasted = boxes(page)
        assert all("crg_" not in text for text in pasted.values()), "no token is shown twice"
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        page.goto(server.url)
        assert page.url == f"{server.url}/login"


def test_signing_in_over_tls_and_http_2(server, chromium):
    name, link = invited(server)
    secure = f"https://127.0.0.1:{server.tls_port}"
    with visitor(chromium, ignore_https_errors=True) as page:
        set_password(page, link.replace(server.url, secure))
        page.context.clear_cookies()
        page.goto(secure)
        sign_in(page, name)
        page.get_by_text(f"Signed in as {name}").wait_for()
        assert page.url == f"{secure}/"
        assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        [session] = page.context.cookies()
        assert session["secure"] and session["httpOnly"] and session["sameSite"] == "Lax"
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        assert page.context.cookies() == []


ASK = (
    "/oidc/v1/authorize?response_type=code&client_id=databricks-cli&redirect_uri=http%3A%2F%2Flocalhost%3A8020"
    "&scope=all-apis%20offline_access&state=s&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    "&code_challenge_method=S256"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_every_page_fits_and_can_be_read(server, chromium, size, scheme, tmp_path):
    """No page is wider than the screen, every text stands out from its ground (WCAG AA: 4.5 to 1), every field has a label.
    CRANNOG_SCREENSHOTS names a folder for pictures of them."""
    pictures = os.environ.get("CRANNOG_SCREENSHOTS")
    name, link = invited(server)

    def look(page, what: str):
        if pictures:
            page.screenshot(path=f"{pictures}/{what}-{scheme}-{size['width']}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, f"{what} is {wide} px too wide"
        assert page.evaluate(LOW_CONTRAST) == [], what
        for field in page.locator("input:not([type=hidden])").all():
            assert field.evaluate("e => e.labels.length") == 1, what

    with visitor(chromium, size, scheme) as page:
        page.goto(link)
        look(page, "setup")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("The same again").fill("something else")
        page.get_by_role("button", name="Set the password").click()
        page.get_by_role("alert").wait_for()
        look(page, "setup-refused")
        set_password(page, link)
        look(page, "set-up")
        page.goto(server.url)
        page.get_by_text(f"Signed in as {name}").wait_for()
        look(page, "start")
        page.goto(server.url + ASK)
        page.get_by_role("heading", name="Allow access?").wait_for()
        look(page, "consent")
        page.goto(server.url + ASK.replace("8020", "9999"))
        page.get_by_role("alert").wait_for()
        look(page, "refused-client")
        page.goto(f"{server.url}/login?anew=true")
        look(page, "login")
        sign_in(page, "nobody@example.com", "wrong")
        page.get_by_role("alert").wait_for()
        look(page, "login-refused")


# Texts whose colour is too near to that of what is behind them.
LOW_CONTRAST = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const shown = [...document.querySelectorAll('main *, header *')].filter(e =>
    e.offsetParent && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  return shown.map(e => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
}"""
