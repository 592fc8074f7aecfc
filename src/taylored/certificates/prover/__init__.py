"""Finding proofs and counter-examples: by coefficients, by Sturm's theorem, by enclosures."""
