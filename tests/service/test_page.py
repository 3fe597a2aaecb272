"""The page in a real browser: a person picks a route and a date and sees the ranking."""

from __future__ import annotations

import re
from datetime import date

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from .support import Oracle, Service


def ranking_keys(page: Page) -> list[str]:
    return [row.get_attribute("data-key") or "" for row in page.locator("#ranking li").all()]


def test_opens_with_the_example(page: Page, service: Service, oracle: Oracle) -> None:
    page.goto(service.url)
    expect(page.get_by_role("heading", level=2)).to_have_text(
        re.compile("^Newark Liberty Intl to San Francisco Intl, Thursday,? 6 June 2013$")
    )
    assert ranking_keys(page) == [line.key for line in oracle.ranking("EWR", "SFO", date(2013, 6, 6))]


def test_asks_nobody_but_its_own_service(page: Page, service: Service) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(service.url)
    expect(page.locator("#ranking li").first).to_be_visible()
    assert len(asked) >= 5
    assert [url for url in asked if not url.startswith((service.url, "data:"))] == []


def test_pick_route_and_date_and_see_the_ranking(page: Page, service: Service, oracle: Oracle) -> None:
    page.goto(service.url)
    page.get_by_label("From").select_option("JFK")
    page.get_by_label("To", exact=True).select_option("LAX")
    page.get_by_label("Date").fill("2013-02-09")
    page.get_by_role("button", name="Rank flights").click()
    title = page.get_by_role("heading", level=2)
    expect(title).to_contain_text("John F Kennedy Intl to Los Angeles Intl, Saturday")
    expect(title).to_be_focused()

    expected = oracle.ranking("JFK", "LAX", date(2013, 2, 9))
    assert ranking_keys(page) == [line.key for line in expected]
    first = page.locator("#ranking li").first
    expect(first.locator(".percent")).to_have_text(f"{float(expected[0].punctuality):.1%}")
    bar = first.locator(".bar").bounding_box()
    fill = first.locator(".fill").bounding_box()
    assert bar is not None
    assert fill is not None
    assert fill["width"] / bar["width"] == pytest.approx(float(expected[0].punctuality), abs=0.01)
    expect(first.locator(".history")).to_contain_text(
        f"on time {expected[0].on_time} of {expected[0].observations} days"
    )
    expect(page.locator("#definition")).to_contain_text("less than 15 minutes late")


def test_works_by_keyboard_alone(page: Page, service: Service) -> None:
    page.goto(service.url)
    expect(page.locator("#ranking li").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("From")).to_be_focused()
    page.keyboard.type("LGA")
    page.keyboard.press("Tab")
    page.keyboard.type("ORD")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_contain_text("La Guardia to Chicago Ohare Intl")


def test_destinations_follow_the_origin(page: Page, service: Service, oracle: Oracle) -> None:
    page.goto(service.url)
    for origin in ("LGA", "JFK"):
        page.get_by_label("From").select_option(origin)
        offered = (
            page.get_by_label("To", exact=True)
            .locator("option")
            .evaluate_all("all => all.map(one => one.value)")
        )
        assert offered == sorted(dest for other, dest in oracle.routes if other == origin)


def test_address_holds_the_question(page: Page, service: Service) -> None:
    page.goto(f"{service.url}?from=JFK&to=BOS&date=2013-03-01")
    title = page.get_by_role("heading", level=2)
    expect(title).to_contain_text("1 March 2013")
    expect(page.get_by_label("To", exact=True)).to_have_value("BOS")
    page.get_by_label("Date").fill("2013-03-02")
    page.get_by_role("button", name="Rank flights").click()
    expect(title).to_contain_text("2 March 2013")
    assert page.url.endswith("?from=JFK&to=BOS&date=2013-03-02")
    page.go_back()
    expect(title).to_contain_text("1 March 2013")
    expect(page.get_by_label("Date")).to_have_value("2013-03-01")


def test_day_without_flights_offers_others_to_click(page: Page, service: Service) -> None:
    page.goto(f"{service.url}?from=EWR&to=ANC&date=2013-01-06")
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("No flight from EWR to ANC on 06-01-2013")
    expect(page.locator("#answer")).to_be_hidden()
    problem.get_by_role("button").first.click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("6 July 2013")
    expect(problem).to_be_hidden()


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("from=*", "From='*' is not an airport code"),
        ("from=<b>x</b>", "From='<b>x</b>' is not an airport code"),
        ("date=yesterday", "Date='yesterday' is not DD-MM-YYYY"),
        ("from=LGA&to=SFO", "No flight ever went from LGA to SFO"),
    ],
)
def test_refusal_is_readable(page: Page, service: Service, question: str, message: str) -> None:
    page.goto(f"{service.url}?{question}")
    expect(page.get_by_role("alert")).to_contain_text(message)


def test_service_that_is_gone_is_said(page: Page, service: Service) -> None:
    page.goto(service.url)
    expect(page.locator("#ranking li").first).to_be_visible()
    page.route("**/recommend*", lambda route: route.abort())
    page.get_by_role("button", name="Rank flights").click()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")


def test_late_answer_does_not_replace_a_newer_one(page: Page, service: Service) -> None:
    held: list[Route] = []
    page.route("**/recommend?from=EWR*", lambda route: held.append(route))
    page.goto(service.url)
    page.get_by_label("From").select_option("JFK")
    page.get_by_label("To", exact=True).select_option("BOS")
    page.get_by_role("button", name="Rank flights").click()
    title = page.get_by_role("heading", level=2)
    expect(title).to_contain_text("John F Kennedy Intl to General Edward Lawrence Logan Intl")
    with page.expect_response("**/recommend?from=EWR*"):
        held[0].continue_()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(title).to_contain_text("John F Kennedy Intl")


@pytest.mark.parametrize("width", [320, 375, 768, 900, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_every_width(browser: Browser, service: Service, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{service.url}?from=JFK&to=LAX&date=2013-02-09")
    expect(page.locator("#ranking li").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    overflowing = "rows => rows.filter(row => row.scrollWidth > row.clientWidth).length"
    assert page.locator("#ranking li").evaluate_all(overflowing) == 0
    context.close()
