"""Rows: their kinds, their store, the collectors that measure them and the sources that read them."""
