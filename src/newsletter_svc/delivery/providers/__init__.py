"""What mail providers tell over HTTP: one module for each, which checks that it is them and makes events of it."""
