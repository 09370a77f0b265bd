"""Stands in for setuptools while pip fetches the flights' source archive; see build_meta.py beside this file."""
