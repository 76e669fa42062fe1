"""fe2 comes before DOLFINx: it orders the libraries that both load."""

import fe2  # noqa: F401
