"""Atomic writes, the verified cache, downloads and archives."""
