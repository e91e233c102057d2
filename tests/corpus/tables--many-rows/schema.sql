CREATE TABLE many (id int PRIMARY KEY, v text); CREATE INDEX ON many (v);
