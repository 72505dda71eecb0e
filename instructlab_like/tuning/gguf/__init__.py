"""Models as one file that llama.cpp and what is built on it read. Only what is read there as it is here is written."""
