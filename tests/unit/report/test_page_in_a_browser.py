"""The page in a real browser: no request, no console error, all drawn, readable, searchable."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, study):
    """Opens the page at a width and colour scheme; what it complains of or asks for is noted."""
    pages = []

    def open_page(width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.noted = []
        page.on("console", lambda message: page.noted.append(message.text))
        page.on("pageerror", lambda error: page.noted.append(str(error)))
        page.on("request", lambda request: page.noted.append(request.url))
        page.goto(study.page.as_uri())
        page.wait_for_function("document.querySelector('#pair-browser .count').textContent !== ''")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_quiet_fits_the_screen_and_can_be_read(opened, study, width, scheme):
    page = opened(width, scheme)
    assert page.noted == [study.page.as_uri()]  # its own address, and nothing else
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert contrast(page, "main p") > 7
    assert contrast(page, "figcaption") > 4.5
    assert contrast(page, 'td[style*="--heat: 25%"]') > 7
    assert contrast(page, 'td[style*="--heat: 25%"] .ci') > 4.5


def test_shades_deepen_with_the_numbers_and_leave_out_what_is_not_the_studys(opened):
    """Table 2: the gold rewards of the policies; Table 3: the paper's rows have no shade."""
    page = opened()
    shades = """(id) => [...document.querySelectorAll(`#${id} tbody tr`)].map((row) =>
      [row.cells[1], row.cells[0].innerText]).map(([cell, name]) =>
      [parseFloat(cell.innerText), parseFloat(cell.style.getPropertyValue("--heat")) || 0, name])"""
    policies = page.evaluate(shades, "exhibit-table2")
    assert [shade for _, shade, _ in sorted(policies)] == sorted(shade for _, shade, _ in policies)
    assert (min(policies)[1], max(policies)[1]) == (0, 25)
    papers = [shade for _, shade, name in page.evaluate(shades, "exhibit-table3") if name == "paper"]
    assert papers == [0] * 5
    assert "Shades run" in page.locator("#exhibit-table3 figcaption").inner_text()
    assert "Shades run" not in page.locator("#exhibit-table5 figcaption").inner_text()


def test_every_figure_is_drawn(opened):
    page = opened()
    drawings = page.locator(".drawing svg")
    assert drawings.count() == 12  # Figures 3, 5, 6 and 7, 8, 9, and seven of our own
    for i in range(drawings.count()):
        box = drawings.nth(i).bounding_box()
        assert box["width"] > 300
        assert box["height"] > 100
        assert drawings.nth(i).locator("path").count() > 5


def test_the_pair_browser_searches_and_filters(opened):
    page = opened()
    count, cards = page.locator("#pair-browser .count"), page.locator("#pair-browser .found article")
    assert count.inner_text() == "48 of 48 pairs"
    assert cards.count() == 12
    page.locator("#pair-browser .more").click()
    assert cards.count() == 24

    page.locator("[name=words]").fill("THING 11")
    assert count.inner_text() == "4 of 48 pairs"  # one in each iteration of each run
    assert "what is <b>thing 11</b> & why ?" in cards.first.inner_text()
    page.locator("[name=run]").select_option("concise")
    page.locator("[name=iteration]").select_option("2")
    assert count.inner_text() == "1 of 48 pairs"
    page.locator("[name=length]").select_option("shorter")
    assert count.inner_text() == "0 of 48 pairs"
    assert cards.count() == 0


def contrast(page, selector: str) -> float:
    """WCAG's contrast ratio between the text of the first such element and all that lies behind it."""
    return page.evaluate(
        """selector => {
          const light = (...colours) => {
            const canvas = document.createElement("canvas").getContext("2d");
            for (const colour of colours) {
              canvas.fillStyle = colour;
              canvas.fillRect(0, 0, 1, 1);
            }
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(
              (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const element = document.querySelector(selector);
          const behind = [];
          for (let at = element; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
          const ink = light(getComputedStyle(element).color), paper = light(...behind);
          return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        }""",
        selector,
    )
