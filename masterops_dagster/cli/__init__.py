"""`masterops …`: what a person types. Heavy imports stay inside functions, so that `--help` answers at once."""
