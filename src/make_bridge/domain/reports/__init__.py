"""Reports: what was used and what ran, over a range of days, made in the background and kept for download."""
