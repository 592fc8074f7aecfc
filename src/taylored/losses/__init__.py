"""One file per loss: the maths, a function, a module, a SPEC."""
