"""The version; setup.py reads this line as text."""

__version__ = "0.1.0"
