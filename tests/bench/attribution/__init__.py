"""How often attribution names what was injected, and how often something where nothing was: drawn runs with known causes."""
