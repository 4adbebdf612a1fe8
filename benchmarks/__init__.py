"""The bench: what trainings cost on a machine, beside the recipes of other books. `make bench` runs it."""
