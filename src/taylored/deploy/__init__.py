"""Numbers that are chosen on validation data, after training: a threshold, tau, a temperature."""
