"""One portal for the whole run, empty again for each test."""

import pytest

from support.portal import Portal


@pytest.fixture(scope="session")
def assembled():
    return Portal()


@pytest.fixture
def portal(assembled):
    assembled.forget()
    return assembled
