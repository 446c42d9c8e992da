"""Loopback servers in place of vendors' APIs, and the suite that every manifest passes on its own."""
