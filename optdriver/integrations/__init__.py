"""Where optdriver meets other packages: one file for each of them."""
