"""Model families behind one protocol, and the wrappers that make them honest."""
