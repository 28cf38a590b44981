"""The benchmarks: every speed goal as a ratio inside one run, with durability on.

``make bench`` runs all of them; ``python -m benchmarks NAME …`` some. Absolute figures belong to the
machine they were taken on; the ratios are what a change has to keep.
"""
