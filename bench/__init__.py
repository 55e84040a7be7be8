"""Benchmarks: `make bench`. Measured and printed beside the bars, never asserted."""
