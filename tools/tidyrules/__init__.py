"""The rules of tools/tidy.py, one file per kind of source."""
