"""The packages, which pyproject.toml cannot compute: those found in fe2/, and meshes/ named fe2_meshes."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["fe2", "fe2.*"]), "fe2_meshes"],
    package_dir={"fe2": "fe2", "fe2_meshes": "meshes"},
)
