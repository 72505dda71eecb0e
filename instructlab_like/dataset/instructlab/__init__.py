"""InstructLab's data formats: the rows it trains on, the rows with several documents, its mixing recipes, its tests."""
