"""Whole runs: certify a data set, train and save a model, measure this machine."""
