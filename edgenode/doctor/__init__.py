"""What is wrong with this box: one check per subject, for people, for monitoring, for rollouts."""
