"""Runs beside other runs: forks, what tells two runs apart, and other plans for one."""
