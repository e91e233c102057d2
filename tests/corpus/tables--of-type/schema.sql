CREATE TYPE row_t AS (a int, b text); CREATE TABLE typed OF row_t (PRIMARY KEY (a), b WITH OPTIONS DEFAULT 'z' NOT NULL);
