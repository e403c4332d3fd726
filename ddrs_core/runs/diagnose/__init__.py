"""Why the images of a run or log are not certified: kinds, evidence, and rows to take along."""
