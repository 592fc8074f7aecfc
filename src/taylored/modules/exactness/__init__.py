"""How exact the float32 numbers of each loss are."""
