"""HTTP: routes, the middleware around them, who calls, and the dialects that requests and answers are written in."""
