"""Sample orders for the demo's button: pure, and different from click to click."""

from typing import Any

_PEOPLE = (
    ("Mia Novak", "mia@novak-bikes.example"),
    ("Jonas Weber", "jonas@weber-outdoor.example"),
    ("Aiko Tanaka", "aiko@tanaka-cafe.example"),
    ("Lucía Ortega", "lucia@ortega-studio.example"),
)
_GOODS = (
    ("DESK-01", "Standing desk", 389.0),
    ("LAMP-07", "Reading lamp", 48.5),
    ("CHAIR-3", "Office chair", 219.0),
    ("MAT-12", "Floor mat", 34.9),
    ("CUP-004", "Coffee cup", 9.8),
)


def sample_order(number: int) -> dict[str, Any]:
    """Return the sample order with this number (0 or more); the same number gives the same order."""
    name, email = _PEOPLE[number % len(_PEOPLE)]
    count = 1 + number % 3
    chosen = [_GOODS[(number + step) % len(_GOODS)] for step in range(count)]
    return {
        "id": f"A-{1000 + number}",
        "customer": {"name": name, "email": email},
        "currency": "EUR",
        "items": [
            {"sku": sku, "title": title, "quantity": 1 + (number + index) % 2, "price": price}
            for index, (sku, title, price) in enumerate(chosen)
        ],
    }
