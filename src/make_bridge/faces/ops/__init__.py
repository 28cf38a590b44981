"""For machines: is it alive, is it ready, what does it count."""
