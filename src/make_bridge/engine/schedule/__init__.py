"""When a scenario runs by itself: the scheduling object of a blueprint, and the calendar behind it."""
