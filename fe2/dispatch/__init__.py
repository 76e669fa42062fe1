"""Pools: evaluate many micro models at once, wherever they live."""
