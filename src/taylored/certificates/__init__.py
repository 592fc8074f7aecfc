"""Certificates: what is proved about a loss, and a program that checks the proofs.

Everything is derived from the term alone: `formula` reads it in exact numbers, `coefficients`,
`sturm` and `signs` (with `jets` inside (0, 1) and `ends` at its ends) decide the sign of the
`quantities` that the `properties` are about, `bounds` finds their size, and `certify` puts a
`Certificate` together. The `checker` follows its proofs in other arithmetic and shares no code.
`rising` is what a loss asks when it is built.
"""
