"""Reading data as people have them: arrays, tables, images."""
