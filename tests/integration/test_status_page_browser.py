"""The status page in Chromium: on a desktop and a phone, light and dark, by keyboard, and while it changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from benchmarks import watched
from masterops_dagster.database.connection import connect
from tests.served import served

pytestmark = pytest.mark.browser

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

POOR_CONTRAST = """
() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || one.closest("svg") || !one.checkVisibility()) continue;
    const [a, b] = [light(channels(getComputedStyle(one).color)), light(behind(one))].sort((a, b) => b - a);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(one.className + ": " + texts.currentNode.data.trim());
  }
  return poor;
}
"""
CUT_OFF = """
() => [...document.querySelectorAll("body *")].filter((one) => {
  if (one.closest("svg, .skip") || !one.checkVisibility()) return false;
  const box = one.getBoundingClientRect();
  return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((one) => one.tagName + "." + one.className)
"""
OVERLAPPING = """
() => {
  const texts = [...document.querySelectorAll("h1, h2, h3, .name, .now, .figure, .pill, .tag, td, .bars, .spark")]
    .filter((one) => one.checkVisibility());
  const found = [];
  texts.forEach((one, i) => texts.slice(i + 1).forEach((other) => {
    if (one.contains(other) || other.contains(one)) return;
    const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
    if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
      found.push(one.textContent.trim().slice(0, 30) + " / " + other.textContent.trim().slice(0, 30));
  }));
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "install Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def origin(module_database_url: str) -> Iterator[str]:
    """The page of a platform in trouble."""
    with connect(module_database_url) as database:
        at = datetime.now(UTC)
        watched.well(database, at, every=timedelta(minutes=20))
        watched.trouble(database, at)
        watched.watched_until(database, timedelta(hours=1))
    with served(module_database_url) as address:
        yield address


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has to say, such as of a policy that was not kept."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP)  # type: ignore[arg-type]
    opened = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    opened.on("console", note)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()


PAGES = ("/", "/public", f"/incidents/{watched.SHOP_DOWN}")


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_all_is_readable_in_its_place_and_by_the_rules(
    page: Page, origin: str, complaints: list[str], size: dict[str, int], scheme: str
) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    for path in PAGES:
        page.goto(origin + path)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate(POOR_CONTRAST) == [], path
        assert page.evaluate(CUT_OFF) == [], path
        assert page.evaluate(OVERLAPPING) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert complaints == []


def test_it_changes_by_itself_and_what_was_opened_stays_open(
    page: Page, origin: str, module_database_url: str, complaints: list[str]
) -> None:
    page.goto(origin)
    expect(page.locator("#live")).to_have_class("live on")
    row = page.locator("#row-hubspot")
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(row.locator(".checks")).to_be_visible()
    with connect(module_database_url) as database:
        down = "update ops.health_states set status = %s where check_id = 'integration_hubspot'"
        database.execute(down, ["down"])
        expect(page.locator("h1")).to_contain_text("HubSpot", timeout=8000)
        expect(page.locator("#row-hubspot .who .now")).to_contain_text("Down")
        expect(page.locator("#row-hubspot .checks")).to_be_visible()
        expect(page.locator("#row-hubspot > summary")).to_be_focused()
        assert "HubSpot" in page.title()
        database.execute(down, ["up"])
    expect(page.locator("h1")).to_have_text("BigCommerce of Buy Organics Online is down", timeout=8000)
    assert complaints == []


def test_every_picture_is_told_in_words(page: Page, origin: str) -> None:
    page.goto(origin)
    pictures = page.locator("svg[role=img]")
    assert pictures.count() == 24
    assert all(pictures.nth(place).get_attribute("aria-label") for place in range(24))
    assert page.get_by_role("heading", level=1).count() == 1
    states = page.locator(".pill, .now")
    assert all(states.nth(place).inner_text().strip() for place in range(states.count()))  # never a colour alone


def test_from_the_page_to_an_incident_and_back_by_keyboard(page: Page, origin: str) -> None:
    page.goto(origin)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.get_by_role("link", name="Details").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What to do")).to_be_visible()
    page.get_by_role("link", name="← Status").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Open incidents")).to_be_visible()
