"""Case files: TOML, checked against one schema, and turned into cells, laws and simulations."""
