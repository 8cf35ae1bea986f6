"""Answers: in process, on the command line and over REST."""
