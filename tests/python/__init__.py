"""Tests of the Python API. They pass inside the runner and under plain python3."""
