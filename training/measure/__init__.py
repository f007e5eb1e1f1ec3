"""What a domain is worth to the learner: trainings without it or with another in its place, judged on the same episodes."""
