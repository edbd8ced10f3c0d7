"""docs/reference/scenario.md has every key of every kind, as the models have them."""

from __future__ import annotations

from scenario_page import PAGE, ours, page

from harness.scenario.kinds import GUESTS, LINKS


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python tests/scenario_page.py`"


def test_every_kind_and_every_key_is_described():
    for kinds, name in ((GUESTS, "guest"), (LINKS, "link")):
        for kind in ours(kinds):
            assert f'[{name}] kind = "{kind}"' in page()
            settings = kinds.load(kind).settings
            assert all(field.description for key, field in settings.model_fields.items() if key != "kind")
