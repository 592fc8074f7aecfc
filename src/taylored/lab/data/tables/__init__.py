"""Tables as people have them: found out, guarded against leaks, encoded on training rows."""
