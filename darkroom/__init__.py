"""Darkroom: a local-first development environment for image tagging on AWS."""

__version__ = "0.1.0"
