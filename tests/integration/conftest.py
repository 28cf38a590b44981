"""What integration tests may ask for: a real PostgreSQL for the session, fresh databases for the module.

A test that takes `shards` runs in both layouts. Where the layout cannot matter:
`pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")`.
"""

import pytest

from support.postgres import LAYOUTS, open_shards


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request):
    """Directory and shard in one database, or in two."""
    return request.param


@pytest.fixture(scope="module")
async def shards(postgres, layout):
    """The open databases of one module."""
    async with open_shards(postgres, layout) as opened:
        yield opened
