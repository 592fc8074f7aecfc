"""The model that a comparison recommends: trained on all rows, saved, loaded, exported."""
