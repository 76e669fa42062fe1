"""Micro models that are made beforehand from solved cells, and know how wrong they are."""
