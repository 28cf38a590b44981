"""The sample order behind the demo's button: the one that the page shows."""

from typing import Any


def sample_order() -> dict[str, Any]:
    """Return the order; prices are per piece."""
    return {
        "id": "A-1042",
        "customer": {"name": "Mia Novak", "email": "mia@novak.example"},
        "currency": "EUR",
        "items": [
            {"sku": "TABLE-2", "title": "Oak side table", "quantity": 2, "price": 69.0},
            {"sku": "SHADE-1", "title": "Linen lampshade", "quantity": 1, "price": 46.5},
        ],
    }
