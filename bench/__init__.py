"""Benchmarks: `python -m bench NAME`, or `make bench` for all; README.md beside this file says what each measures."""
