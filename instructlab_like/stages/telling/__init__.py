"""What a run's files say, for people: a report, a sample's story, what is covered, what it cost."""
