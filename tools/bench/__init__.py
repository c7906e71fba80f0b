"""What demarc costs and how well it measures: `make bench`, `python -m tools.bench [--only GROUP] [--write]`.

A group is a module here with a function `measure() -> list[Row]`, named in `GROUPS` of `__main__.py`. The first
paragraph of its docstring stands above its table in docs/benchmarks.md: say there what is measured, on what, and
against which peer. Peers run in the same run; medians of at least five runs. Nothing here passes or fails.
"""
