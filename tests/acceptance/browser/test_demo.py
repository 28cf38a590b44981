"""The demo page from an offered card to a finished execution, as somebody sees it who follows the README.

Each test ends by asking whether the browser complained: of an error in a script, of something the page's policy
refused, of a request to any host but the server.
"""

import json
import re

import pytest
from playwright.sync_api import expect

from support.browser import heading, press, window_opened_by

pytestmark = pytest.mark.requires_server("chromium")
DESK = "Order desk"
REVIEW = "Order review with your own rules"
# What the order desk makes of the sample order: 2 × 69.00 and 1 × 46.50.
ANSWER = {"order": "A-1042", "total": 184.5, "lane": "standard", "message": "Thank you, Mia Novak!"}


def card_of(page, name):
    return page.locator("portal-integrations").get_by_role("listitem", name=name)


def connect(page, name):
    """Press Connect on a card and return the wizard's window."""
    return window_opened_by(page, card_of(page, name).get_by_role("button", name="Connect").click)


def shown(step, name):
    """Unfold a module's input or output and return it."""
    step.locator("summary", has_text=name).click()
    return json.loads(step.get_by_role("region", name=name).inner_text())


def test_an_order_is_handled_by_an_integration_that_was_connected_a_minute_ago(visitor, demo, dana):
    page = visitor.open(f"{demo.url}/demo")
    card = card_of(page, DESK)
    expect(card).to_contain_text("Available")

    wizard = connect(page, DESK)
    expect(heading(wizard, DESK)).to_be_visible()
    expect(card).to_contain_text("Continue in the window that opened")
    press(wizard, "Get started")
    expect(heading(wizard, "Ready to finish")).to_be_visible()
    expect(wizard.get_by_role("main")).to_contain_text("There is nothing to fill in.")
    with wizard.expect_event("close"):
        press(wizard, "Finish and switch on")
        expect(heading(wizard, "All set")).to_be_visible()
        expect(card).to_contain_text("Active")
    expect(card.get_by_role("switch")).to_be_checked()

    press(page, "Send a sample order")
    answer = page.get_by_role("status").filter(has_text=f"{DESK} answered:")
    expect(answer).to_contain_text(ANSWER["message"])
    expect(answer).to_contain_text("184.5")
    execution = page.get_by_role("button", expanded=False).filter(has_text="Handled the order")
    expect(execution).to_contain_text(DESK)
    execution.click()
    way = "New order → Each item → Add up → Prepare the answer → Standard lane"
    expect(page.locator(".run-detail")).to_contain_text(way)
    modules = page.locator(".run-detail").get_by_role("listitem")
    expect(modules).to_have_count(5)
    expect(modules.nth(0)).to_contain_text("New order Webhooks")
    outputs = [shown(module, "Output") for module in modules.all()]
    inputs = [shown(module, "Input") for module in modules.all()[1:]]
    assert (outputs[0]["id"], outputs[0]["customer"]["name"]) == ("A-1042", "Mia Novak")
    assert [bundle["title"] for bundle in outputs[1]] == ["Oak side table", "Linen lampshade"]
    assert json.loads(inputs[-1]["body"]) == ANSWER
    assert visitor.complaints == []


def test_a_step_shows_its_address_and_says_beside_a_field_what_is_missing(visitor, demo, dana):
    page = visitor.open(f"{demo.url}/demo")
    wizard = connect(page, REVIEW)
    press(wizard, "Get started")
    expect(heading(wizard, "Your shop")).to_be_visible()
    expect(wizard.locator("code")).to_contain_text(f"{demo.url}/hook/")
    press(wizard, "Save and continue")

    expect(heading(wizard, "Your rules")).to_be_visible()
    reviewer = wizard.get_by_label("Who reviews them")
    press(wizard, "Save and continue")
    complaint = "Please fill in “Who reviews them”."
    expect(reviewer).to_have_accessible_description(re.compile(f"^{complaint}"))
    expect(reviewer).to_have_attribute("aria-invalid", "true")
    expect(wizard.get_by_role("alert")).to_be_focused()
    wizard.get_by_role("link", name=complaint).click()
    expect(reviewer).to_be_focused()
    reviewer.fill("Sam")
    press(wizard, "Save and continue")

    expect(heading(wizard, "Check and finish")).to_be_visible()
    expect(wizard.get_by_role("main")).to_contain_text("Sam")
    note = wizard.locator(".row", has_text="Note for the reviewer")
    expect(note).to_contain_text("Order Order number, New order from Customer › Name")  # noqa: RUF001
    expect(wizard.get_by_role("main")).not_to_contain_text("{{")
    press(wizard, "Finish and switch on")
    expect(card_of(page, REVIEW)).to_contain_text("Active")
    assert visitor.complaints == []


def test_the_sample_order_goes_to_every_integration_that_is_on(visitor, demo, dana):
    dana.connect(DESK, {})
    dana.connect(REVIEW, {"Who reviews them": "Sam", "Review orders from": "184.50"})
    page = visitor.open(f"{demo.url}/demo")
    expect(card_of(page, REVIEW)).to_contain_text("Active")
    press(page, "Send a sample order")
    answers = page.locator("#result .answer")
    expect(answers).to_have_count(2)
    expect(answers.filter(has_text=DESK)).to_contain_text("Thank you, Mia Novak!")
    # By price and quantity the order is worth 184.50: exactly what is to be reviewed.
    expect(answers.filter(has_text=REVIEW)).to_contain_text("Order A-1042 from Mia Novak goes to Sam.")
    expect(page.get_by_role("button", expanded=False).filter(has_text="Handled the order")).to_have_count(2)
    assert visitor.complaints == []


def test_answers_are_found_again_on_the_card_and_can_be_changed(visitor, demo, dana):
    dana.connect(REVIEW, {"Who reviews them": "Sam", "Review orders from": "100"})
    page = visitor.open(f"{demo.url}/demo")
    settings = card_of(page, REVIEW).get_by_role("button", name="Settings")
    wizard = window_opened_by(page, settings.click)
    expect(heading(wizard, "Settings")).to_be_visible()
    expect(wizard.locator("code")).to_contain_text(f"{demo.url}/hook/")
    press(wizard, "Change Your rules")
    wizard.get_by_label("Who reviews them").fill("Kim")
    note = wizard.get_by_role("textbox", name="Note for the reviewer")
    note.press("End")
    note.press("Backspace")
    note.press_sequentially("a friend")
    press(wizard, "Done")
    expect(heading(wizard, "Settings")).to_be_visible()
    press(wizard, "Save changes")
    expect(heading(wizard, "Saved")).to_be_visible()
    with wizard.expect_event("close"):
        press(wizard, "Close")
    expect(card_of(page, REVIEW)).to_contain_text(f"Your changes to {REVIEW} are saved.")
    press(page, "Send a sample order")
    expect(page.locator("#result .answer")).to_contain_text("Order A-1042 from a friend goes to Kim.")
    assert visitor.complaints == []


def test_the_wizard_has_the_product_s_colour_and_can_be_read_in_it(visitor, demo, dana):
    page = visitor.open(f"{demo.url}/demo")
    wizard = connect(page, DESK)
    expect(heading(wizard, DESK)).to_be_visible()
    ink, ground = wizard.get_by_role("button", name="Get started").evaluate(
        "(button) => [getComputedStyle(button).color, getComputedStyle(button).backgroundColor]"
    )
    assert (ink, ground) == ("rgb(255, 255, 255)", "rgb(13, 107, 86)")
    wizard.close()
    assert visitor.complaints == []


def test_a_run_on_the_card_names_its_modules_and_shows_no_data(visitor, demo, dana):
    dana.connect(DESK, {})
    page = visitor.open(f"{demo.url}/demo")
    press(page, "Send a sample order")
    expect(page.locator("#result .answer")).to_have_count(1)
    press(page, f"Recent runs of {DESK}")
    card = card_of(page, DESK)
    card.get_by_role("button", name="Ran by itself").click()
    modules = card.locator(".modules").get_by_role("listitem")
    expect(modules).to_have_text(
        ["New order Webhooks", "Each item Flow control", "Add up Tools", "Prepare the answer Tools",
         "Standard lane Webhooks"]
    )  # fmt: skip
    expect(card).not_to_contain_text("mia@novak.example")
    assert visitor.complaints == []


def test_an_integration_is_removed_only_after_a_second_word(visitor, demo, dana):
    dana.connect(DESK, {})
    page = visitor.open(f"{demo.url}/demo")
    card = card_of(page, DESK)
    question = page.get_by_role("alertdialog", name=f"Remove “{DESK}”?")
    for answer, state in (("Keep it", "Active"), ("Remove", "Available")):
        press(page, f"Remove {DESK}")
        expect(question.get_by_role("button", name="Keep it")).to_be_focused()
        press(question, answer)
        expect(question).to_be_hidden()
        expect(card).to_contain_text(state)
    assert visitor.complaints == []


def test_without_an_integration_the_page_says_what_to_do_first(visitor, demo, dana):
    page = visitor.open(f"{demo.url}/demo")
    expect(card_of(page, DESK)).to_be_visible()
    press(page, "Send a sample order")
    expect(page.get_by_role("status").filter(has_text="Connect one above, then send an order.")).to_be_visible()
    visitor.expect_complaint("409")
    assert visitor.complaints == []
