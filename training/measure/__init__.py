"""What a domain is worth to the learner: the same training without it, and with another in its place, judged on the same episodes."""
