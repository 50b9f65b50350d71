"""How fast the service is: whole jobs against their yardsticks, in one run, as ratios. `make bench` runs them all."""
