"""How evaluators are run over the steps of a trajectory: what runs, in which order, and the rows of what they say."""
