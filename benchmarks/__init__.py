"""The figures the project claims, each as a ratio to a floor of the same run. `make bench` runs them all."""
