"""Cloister: an end-to-end encrypted workspace whose server holds nothing that opens it."""

__version__ = "0.1.0"
