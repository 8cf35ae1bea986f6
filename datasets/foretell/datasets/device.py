"""The kind `device`: what the vendor publishes, so that hardware nobody measured is still an input."""
