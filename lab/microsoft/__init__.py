"""Microsoft's login and Graph, simulated over HTTPS for the lab; labelled as such in every reply."""
