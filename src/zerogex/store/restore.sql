-- What a restore does to the database it made.

-- drop_database --
-- Take back a database that could not be filled, whoever has begun to look at it.
DROP DATABASE IF EXISTS {name} WITH (FORCE)
