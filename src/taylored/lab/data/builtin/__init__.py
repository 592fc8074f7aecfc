"""The built-in data sets, read from packages that ship them."""
