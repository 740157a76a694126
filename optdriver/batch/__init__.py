"""Many minimizers at once."""
