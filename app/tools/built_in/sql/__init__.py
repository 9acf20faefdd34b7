"""`sql_query`: questions to a database, which it can only read."""
