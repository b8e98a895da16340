"""Parts of the shared recordings by name; no test may change them."""

import pytest


@pytest.fixture(scope="session")
def recordings(cry_data):
    """Six recordings of 40 s, two of each infant."""
    return cry_data[0]


@pytest.fixture(scope="session")
def annotations(cry_data):
    return cry_data[1]


@pytest.fixture(scope="session")
def infants(cry_data):
    return cry_data[2]
