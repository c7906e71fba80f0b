"""What the observations prove: roles, evidence, proof. Pure; `now` is an argument."""
