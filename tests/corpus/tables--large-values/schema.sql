CREATE TABLE big (id int PRIMARY KEY, t text, b bytea);
