"""Targets, splits, metrics, recipes, tracking and the benchmark protocols."""
