"""What every loss module is made of: declared fields, the shared vocabulary, SPEC."""
