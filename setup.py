"""Packaging of tfpix2pix; BUILD.md says why each dependency is there."""

from setuptools import find_packages, setup

setup(
    name="tfpix2pix",
    version="0.1.0",
    package_dir={"tfpix2pix": "tfpix2pix", "tfpix2pix.data": "data", "tfpix2pix.export": "export"},
    packages=find_packages(include=["tfpix2pix", "tfpix2pix.*"])
    + ["tfpix2pix.data", "tfpix2pix.export"]
    + ["tfpix2pix.data." + p for p in find_packages("data")]
    + ["tfpix2pix.export." + p for p in find_packages("export")],
    package_data={"tfpix2pix": ["report/templates/*"]},
    python_requires=">=3.10",
    entry_points={"console_scripts": ["tfpix2pix=tfpix2pix.cli.main:run"]},
)
